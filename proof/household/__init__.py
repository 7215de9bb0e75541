"""A household under power cuts and faults: a lead that spawns, asks, waits and is put aside, and those around it.

Each lead asks its child, and somebody who fails for good while a hold of their kind keeps them from beginning; waits for a
person who answers, or for one who does not; asks what is answered too late; sleeps; and says meanwhile what it does. Beside
it a schedule fires, a reader follows, and a runtime with a secret is destroyed and erased. Whatever the crash, each lead
hears what it had to and has asked once, nothing is done twice, what was abandoned is paid back once, each instant of the
schedule was done once, who followed was told nothing that is not there, and of the secret no byte is left in any file.
"""
