"""The asyncio front: a supervisor inside an asyncio program.

    import tenure.asyncio

    async with tenure.asyncio.open_supervisor("agents.db", behaviours={"chat": chat}) as supervisor:
        alice = await supervisor.spawn("alice", "chat")
        ticket = await alice.accept({"text": "hello"}, idempotency_key="mail-1")  # on disk when it returns
        outcome = await ticket.wait_outcome()

Behaviours stay as they are: what they await is their run. A step that is an asyncio function, because it uses an asyncio
client, is marked with `on_loop` and runs on the program's own loop. A behaviour that is an asyncio function itself, because it
hands its run to an asyncio library, is marked with `behaviour`, and runs there as a whole.

Theory of operation. The supervisor runs in its own thread, under `trio.run`. A verb is a call through a portal: it starts
a trio task there and waits for its outcome in a future here. Nothing but verbs crosses, and nothing on the asyncio loop ever
waits for a disk.

Trio's guest mode, which runs both loops in one thread, was tried and is not used. It works, and these were the reasons:

- One thread has room for one guest run. The second supervisor of a program, or one beside another guest, is refused
  ("Attempted to call run() from inside a run()").
- Whatever blocks the asyncio loop blocks the host with it: a handler that computes for 20 s would let the lease (15 s) lapse,
  and another host would rightly take the runtimes over. Nor should a behaviour that computes stop a web server.
- A loop that ends under a guest run leaves it half-way for ever: the file stays locked, and this thread can never run trio
  again. Its own thread loses nothing by that and ends with the process, as a killed host does.
- It saves neither a thread nor time: a guest run waits for I/O in a helper thread. On two busy cores, three times 1,000 calls
  each: a verb without a commit took 0.1 to 0.6 ms here and 0.1 to 1.0 ms to a guest; an accept, on disk, 1.3 to 2.2 ms here
  and 1.4 to 5.0 ms there.

What guest mode would give, asyncio objects in the hands of behaviours, is what `on_loop` and `behaviour` are for.

Cancellation keeps the law of `tenure` (a commit that was taken is waited for, its result is delivered, and the cancellation
comes at the next await). What an error is called does not change, and no exception group is added.
"""

from __future__ import annotations

from .behaving.behaviours import behaviour as behaviour
from .behaving.run import Run as Run
from .behaving.steps import on_loop as on_loop
from .handles import (
    ForeignRuntime as ForeignRuntime,
    Runtime as Runtime,
    Selection as Selection,
)
from .hosting import open_store as open_store, open_supervisor as open_supervisor
from .lifespan import lifespan as lifespan
from .reading import Output as Output, Ticket as Ticket
from .store import Store as Store
from .supervisor import Supervisor as Supervisor

__all__ = [
    "ForeignRuntime",
    "Output",
    "Run",
    "Runtime",
    "Selection",
    "Store",
    "Supervisor",
    "Ticket",
    "behaviour",
    "lifespan",
    "on_loop",
    "open_store",
    "open_supervisor",
]
