"""What a behaviour emits, as its run gives it the words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from tenure.persistence.model.codec import encode, encode_text
from tenure.persistence.model.output import CHANNEL, Said, check_channel
from tenure.supervisor.output.saying import VOICE
from tenure.supervisor.output.speech import DATA
from tenure.supervisor.runs.recording.branch import BRANCH, in_a_step
from tenure.supervisor.runs.recording.entering import Entering
from tenure.supervisor.runs.resting.turns import Opens, awaited

TURN: Final = 64
"""So often a run that emits lets others run. A checkpoint costs what three entries do."""


class Speaking:
    """What of a run is heard outside while it executes."""

    def __init__(self, entering: Entering, encode: Callable[[object, str], bytes]) -> None:
        """Bind to the run; `encode` makes bytes of a value of the field that it names."""
        self._enters = entering
        self._opens: Opens = entering
        self._emitted = 0
        self._encode = encode

    async def emit(self, value: object, channel: str = CHANNEL) -> None:
        """Add an entry to the output of this runtime, for those who follow it. Inside steps: `tenure.emit`.

        It is on disk with the next commit of this run, within 20 ms where it is followed, else within a second; `flush` waits
        for it. It is kept once the run has recorded something after it: where the run enters again, nothing is emitted before
        that place. What was not kept is followed by an entry ``restarted``, which says what to drop.

        Args:
            value: A JSON value, or what the behaviour's classes make one of; at most 256 KiB.
            channel: A name of 1 to 200 characters, by which readers choose.

        Raises:
            InvalidInput: No JSON form, or no such name; or it is asked for inside a step.
            PayloadTooLarge: It is over the limit.
            RunEnded: The run is over.

        Waits only while 1 MiB of the run waits to be written (`Limits.output_bytes`). Cancellation: while it waits, and then
        nothing is emitted.
        """
        self._emitted += 1
        if not self._emitted % TURN:
            await trio.lowlevel.checkpoint()
        # In one function, and most of it by hand: a call costs a twentieth of the whole.
        entering = self._enters
        record, saying, voice, found = entering.record, entering.saying, VOICE.get(), BRANCH.get()
        if entering.ended or entering.fault is not None or entering.actor.facts.run_id != entering.run_id:
            entering.check_open()
        if voice is not None and voice.saying is saying:
            raise in_a_step()
        branch = record.main if found is None or found[0] is not record else found[1]
        try:
            encoded = encode_text(value) if type(value) is str else self._encode(value, "value")
        except UnicodeEncodeError:
            encoded = encode(value, "value")  # which says what is wrong with it
        if channel is not CHANNEL:
            channel = check_channel(channel)
        if record.replays and record.goes_on(branch):
            return  # it was emitted before, and is kept
        speech = saying.speech or saying.speak()
        said = Said(DATA, channel, branch.path, branch.reached, encoded)
        if not speech.say_here(said):
            await speech.say_when_room(said)

    @awaited
    async def flush(self) -> None:
        """Wait until what this run has emitted is on disk. Raises `RunEnded` where it ends before."""
        await trio.lowlevel.checkpoint()
        if self._enters.saying.speech is not None:
            await self._enters.saying.speech.flush()
