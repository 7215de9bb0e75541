"""A run, as a behaviour on the asyncio loop sees it: each verb is the trio one's, asked for in the scope of the asker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial, wraps
from random import Random
from typing import Concatenate, ParamSpec, TypeVar, final

from tenure.portals.portal import Front, verb
from tenure.supervisor.runs.keeping.session import RunSession as TrioSession
from tenure.supervisor.runs.keeping.state import RunState as TrioState
from tenure.supervisor.runs.run import Run as TrioRun
from tenure.supervisor.runs.work import Work

from .crossing import CrossedWork, Cut, ask, ask_now, move_on_after

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)
P = ParamSpec("P")
T = TypeVar("T")


class _Front(Front[C_co]):
    """What stands on the loop for something of a run."""

    def __init__(self, behind: C_co) -> None:
        """Bind to it."""
        self.behind = behind

    async def _reach(self, function: Callable[[], Awaitable[T]]) -> T:
        """In the scope that the caller stands in."""
        return await ask(function)


def _at_once(verb: Callable[Concatenate[C, P], T]) -> Callable[Concatenate[_Front[C], P], T]:
    """A verb that is not."""

    @wraps(verb)
    def call(self: _Front[C], /, *arguments: P.args, **named: P.kwargs) -> T:
        return ask_now(partial(verb, self.behind, *arguments, **named))

    return call


@final
class RunSession(_Front[TrioSession]):
    """The conversation of a run; see `tenure.RunSession`."""

    append = _at_once(TrioSession.append)
    attach = verb(TrioSession.attach)
    fork = verb(TrioSession.fork)
    messages = verb(TrioSession.messages)
    pop = verb(TrioSession.pop)
    raw_messages = verb(TrioSession.raw_messages)
    rewrite = verb(TrioSession.rewrite)

    @property
    def count(self) -> int:
        """See `tenure.RunSession.count`."""
        return ask_now(lambda: self.behind.count)


@final
class RunState(_Front[TrioState]):
    """What the runtime keeps between its runs; see `tenure.RunState`."""

    all = verb(TrioState.all)
    delete = _at_once(TrioState.delete)
    exists = verb(TrioState.exists)
    get = verb(TrioState.get)
    set = _at_once(TrioState.set)


@final
class Run(_Front[TrioRun], Work):
    """One execution of an asyncio behaviour over its batch; see `tenure.Run`, whose verbs it has.

    What is awaited there is awaited here, on this loop. What is not, is not here either: the loop waits a moment for the trio
    thread. It is good from every task that the behaviour starts, and from its threads for what is not awaited.

    Attributes:
        runtime_id: Which runtime.
        run_id: The same over all attempts and crashes.
        fence_token: For tools that can refuse a stale one.
        generation: Which life of the runtime.
        inputs: As `tenure.Run.inputs`.
        session: The conversation.
        state: What the runtime keeps between its runs.
        attempts: Failed attempts of this run so far.
        abandoned: As `tenure.Run.abandoned`.
    """

    def __init__(self, run: TrioRun) -> None:
        """Made by `behaviour`."""
        Work.__init__(self, CrossedWork(run))
        self.behind = run
        self.runtime_id = run.runtime_id
        self.run_id = run.run_id
        self.fence_token = run.fence_token
        self.generation = run.generation
        self.attempts = run.attempts
        self.abandoned = run.abandoned
        self.inputs = run.inputs
        self.session = RunSession(run.session)
        self.state = RunState(run.state)

    again = _at_once(TrioRun.again)
    answer = _at_once(TrioRun.answer)
    ask = verb(TrioRun.ask)
    checkpoint = verb(TrioRun.checkpoint)
    children = verb(TrioRun.children)
    destroy = _at_once(TrioRun.destroy)
    emit = verb(TrioRun.emit)
    flush = verb(TrioRun.flush)
    now = _at_once(TrioRun.now)
    patched = verb(TrioRun.patched)
    recorded = verb(TrioRun.recorded)
    reject = _at_once(TrioRun.reject)
    reset = _at_once(TrioRun.reset)
    retire = _at_once(TrioRun.retire)
    send = _at_once(TrioRun.send)
    sleep = verb(TrioRun.sleep)
    spawn = verb(TrioRun.spawn)
    steered = _at_once(TrioRun.steered)
    stop = _at_once(TrioRun.stop)
    uuid = _at_once(TrioRun.uuid)
    wait_steered = verb(TrioRun.wait_steered)

    @property
    def random(self) -> Random:
        """See `tenure.Run.random`."""
        return ask_now(lambda: self.behind.random)

    @property
    def retiring(self) -> bool:
        """See `tenure.Run.retiring`."""
        return ask_now(lambda: self.behind.retiring)

    def move_on_after(self, seconds: float) -> AbstractAsyncContextManager[Cut]:
        """See `tenure.Run.move_on_after`. Nothing is raised: ``cancelled_caught`` says whether it cut something off."""
        return move_on_after(self.behind, seconds)
