"""The front for programs without a loop: Django, Flask, a script. Verbs are functions that return when it is done.

    import tenure.sync

    with tenure.sync.open_supervisor("agents.db", behaviours={"chat": chat}) as supervisor:
        alice = supervisor.spawn("alice", "chat")
        ticket = alice.accept({"text": "hello"}, idempotency_key="mail-1")  # on disk when it returns
        with tenure.sync.fail_after(30.0):
            outcome = ticket.wait_outcome()

Behaviours stay as they are: what they await is their run, in the supervisor's own thread. Verbs may be called from any thread
at once.

Theory of operation. The supervisor, or the store, lives in a thread under `trio.run`. A verb starts a trio task there, and its
caller stands still until it has ended. A time limit, and what the handler of a signal raises (Ctrl-C), cancel that task by the
law of `tenure`: a commit that was taken is waited for.

A process that is forked has the memory of its parent and not the thread: there every verb raises `Closed`. A server that forks
its workers opens one in each of them, after the fork.
"""

from __future__ import annotations

from .front import fail_after as fail_after
from .handles import (
    ForeignRuntime as ForeignRuntime,
    Runtime as Runtime,
    Selection as Selection,
    Supervisor as Supervisor,
)
from .opening import open_store as open_store, open_supervisor as open_supervisor
from .reading import Output as Output, Ticket as Ticket
from .store import Store as Store

__all__ = [
    "ForeignRuntime",
    "Output",
    "Runtime",
    "Selection",
    "Store",
    "Supervisor",
    "Ticket",
    "fail_after",
    "open_store",
    "open_supervisor",
]
