"""Exceptions in everything a user hands over: at most what used it ends, and never the host.

What can be handed over is found by the signatures of the public names. A name that is added needs a place in `PLACES`, or
a reason in `NOT_HERE`, and is in the sweep from then on. ``TENURE_SHARES=whole`` runs every error at every place, each turn a
share of them. Errors that ask the process to end (KeyboardInterrupt, SystemExit) are left out: they do.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import random
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import attrs
import pytest
import trio
import trio.testing

import tenure
from tenure.errors import Closed, Error, Internal, StaleFence, StoreBroken
from tenure.supervisor.supervisor import host_of
from tests.kit.hosting import (
    LONGEST_S,
    consumed,
    nothing,
    virtual_seams,
)
from tests.kit.shares import share


class NoText(Exception):
    def __str__(self) -> str:
        raise AttributeError("no text here")

    __repr__ = __str__


ERRORS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("mine"),
    "a KeyError": lambda: KeyError("\ud83d"),
    "no text": NoText,
    "a group": lambda: ExceptionGroup("some", [NoText(), TypeError("t")]),
    "AssertionError": AssertionError,
    "RecursionError": RecursionError,
    "MemoryError": MemoryError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "OSError": lambda: OSError(5, "I/O"),
    "GeneratorExit": GeneratorExit,
    "asyncio's CancelledError": asyncio.CancelledError,
    "a BaseException": lambda: BaseException("base"),
    "Closed": lambda: Closed(what="store"),
    "Internal": lambda: Internal(detail="not ours"),
    "StaleFence": lambda: StaleFence(runtime_id="mallory", expected=1, actual=2),
    "StoreBroken": lambda: StoreBroken(incarnation="x", group=1, in_doubt=True, detail="not ours"),
}
"""What is raised. Where Python or trio itself takes one of them for its own, it is still no reason to end."""


class Bomb:
    """Raises an error wherever it is set off, while it is armed."""

    def __init__(self, error: str) -> None:
        self._error = error
        self.armed = False
        self.raised = 0

    def go_off(self) -> None:
        if self.armed:
            self.raised += 1
            error = ERRORS[self._error]()
            raise error

    @contextmanager
    def armed_for(self) -> Generator[None]:
        self.armed = True
        try:
            yield
        finally:
            self.armed = False


def caught(error: BaseException) -> bool:
    """A caller's own call may raise what he handed over; asking the process to end is another matter."""
    return not isinstance(error, KeyboardInterrupt | SystemExit | trio.Cancelled)


class Place:
    """One thing that is handed over: how a host is opened with it, and what is done that calls it."""

    def __init__(self, bomb: Bomb) -> None:
        self.bomb = bomb

    def seams(self) -> tenure.Seams:
        return virtual_seams()

    def behaviour(self) -> Any:
        return nothing

    async def use(self, mallory: tenure.Runtime, supervisor: tenure.Supervisor) -> None:
        await mallory.accept({"text": "go"})


class InFunction(Place):
    def behaviour(self) -> Any:
        async def function(_: tenure.Run) -> None:
            self.bomb.go_off()

        return function


class InStep(Place):
    def behaviour(self) -> Any:
        async def function(run: tenure.Run) -> None:
            await run.step("off", self.bomb.go_off, repeat="freely")

        return function


class InMap(Place):
    def behaviour(self) -> Any:
        def go_off(_: object) -> None:
            self.bomb.go_off()

        async def function(run: tenure.Run) -> None:
            await run.map("off", go_off, [1, 2], repeat="freely")

        return function


class InGather(Place):
    def behaviour(self) -> Any:
        async def branch() -> None:
            await trio.lowlevel.checkpoint()
            self.bomb.go_off()

        async def function(run: tenure.Run) -> None:
            await run.gather(branch, branch)

        return function


class InFirst(Place):
    def behaviour(self) -> Any:
        async def branch() -> None:
            await trio.lowlevel.checkpoint()
            self.bomb.go_off()

        async def function(run: tenure.Run) -> None:
            await run.first(branch, branch)

        return function


class InDoubt(Place):
    def behaviour(self) -> Any:
        doubted: list[Any] = []

        def once() -> None:
            doubted.append(None)
            if len(doubted) == 1:
                raise trio.Cancelled._create(source="deadline")  # pyright: ignore[reportPrivateUsage]  # its dispatch stays, and nobody knows

        async def function(run: tenure.Run) -> None:
            await run.step("once", once, repeat="never")

        async def in_doubt(_: tenure.StepInDoubt) -> tenure.Verdict:
            self.bomb.go_off()
            return tenure.DidNotRun()

        return tenure.Behaviour(function, in_doubt=in_doubt)


class InFollowUp(Place):
    """What follows a batch that was abandoned."""

    def behaviour(self) -> Any:
        async def function(_: tenure.Run) -> None:
            if self.bomb.armed:
                raise ValueError("so that its batch is abandoned")

        async def on_abandoned(_: tenure.Run) -> None:
            self.bomb.go_off()

        once = tenure.RestartPolicy(max_attempts=1)
        return tenure.Behaviour(function, on_abandoned=on_abandoned, restart=once)


class InPayload(Place):
    """A payload class whose constructor raises: at accept, and for what lies in the inbox already."""

    def behaviour(self) -> Any:
        bomb = self.bomb

        @attrs.frozen
        class Letter:
            text: str

            def __attrs_post_init__(self) -> None:
                bomb.go_off()

        async def function(run: tenure.Run) -> None:
            """Take what fits."""

        return tenure.Behaviour(function, payload=Letter)

    async def use(self, mallory: tenure.Runtime, supervisor: tenure.Supervisor) -> None:
        self.bomb.armed = False
        await mallory.accept({"text": "go"})
        self.bomb.armed = True
        await mallory.accept({"text": "go"})


class Coin:
    """What has no JSON form by itself."""


class InEncode(Place):
    def behaviour(self) -> Any:
        async def function(run: tenure.Run) -> None:
            await run.step("pay", Coin, repeat="freely")

        def encode(_: object) -> str:
            self.bomb.go_off()
            return "coin"

        return tenure.Behaviour(function, encode=encode)


class InDecode(Place):
    def behaviour(self) -> Any:
        async def function(run: tenure.Run) -> None:
            """Take what fits."""

        def decode(_: type[object], __: object) -> Coin:
            self.bomb.go_off()
            return Coin()

        return tenure.Behaviour(function, payload=Coin, decode=decode)

    async def use(self, mallory: tenure.Runtime, supervisor: tenure.Supervisor) -> None:
        self.bomb.armed = False
        await mallory.accept({"text": "go"})
        self.bomb.armed = True
        await mallory.accept({"text": "go"})


class InWallClock(Place):
    def seams(self) -> tenure.Seams:
        seams = virtual_seams()
        inner = seams.wall_clock

        def clock() -> float:
            self.bomb.go_off()
            return inner()

        return attrs.evolve(seams, wall_clock=clock)


class InBootClock(Place):
    def seams(self) -> tenure.Seams:
        seams = virtual_seams()
        inner = seams.boot_clock

        def clock() -> float:
            self.bomb.go_off()
            return inner()

        return attrs.evolve(seams, boot_clock=clock)


class InRandom(Place):
    def seams(self) -> tenure.Seams:
        bomb = self.bomb

        class Source(random.Random):
            def random(self) -> float:
                bomb.go_off()
                return super().random()

            def getrandbits(self, k: int, /) -> int:
                bomb.go_off()
                return super().getrandbits(k)

        return attrs.evolve(virtual_seams(), random=Source(next(SEEDS)))

    def behaviour(self) -> Any:
        async def failing(_: tenure.Run) -> None:
            if self.bomb.armed:
                raise ValueError("so that a wait is drawn")

        return failing


class InRead(Place):
    async def use(self, mallory: tenure.Runtime, supervisor: tenure.Supervisor) -> None:
        await mallory.accept("go")
        await supervisor.store.read(lambda _: self.bomb.go_off())


class InPayloadValue(Place):
    """A payload whose own methods raise."""

    async def use(self, mallory: tenure.Runtime, supervisor: tenure.Supervisor) -> None:
        bomb = self.bomb

        class Mapping(dict[str, Any]):
            def items(self) -> NoReturn:
                bomb.go_off()
                raise AssertionError

            __iter__ = keys = values = __len__ = items  # type: ignore[assignment]

            def __eq__(self, _: object) -> bool:
                bomb.go_off()
                return False

            __hash__ = None  # type: ignore[assignment]

        with suppress(Error):
            await mallory.accept(Mapping(text="go"))
        await supervisor.accept("mallory", {"inside": Mapping(text="go")})


class InLog(Place):
    """A handler of the library's loggers."""

    def behaviour(self) -> Any:
        async def failing(_: tenure.Run) -> None:
            raise ValueError("so that a line is written")

        return tenure.Behaviour(failing, restart=tenure.RestartPolicy(max_attempts=1))

    async def use(self, mallory: tenure.Runtime, supervisor: tenure.Supervisor) -> None:
        bomb = self.bomb

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                bomb.go_off()

        handler = Handler()
        logging.getLogger("tenure").addHandler(handler)
        try:
            await (await mallory.accept("go")).wait_outcome()
        finally:
            logging.getLogger("tenure").removeHandler(handler)


class InHook(Place):
    """A hook of the host."""

    async def use(self, mallory: tenure.Runtime, supervisor: tenure.Supervisor) -> None:
        def hook(_: object) -> None:
            self.bomb.go_off()

        supervisor.add_hook(hook)
        try:
            await (await mallory.accept("go")).wait_outcome()
        finally:
            supervisor.remove_hook(hook)


SEEDS = itertools.count(1_000)

PLACES: dict[str, type[Place]] = {
    "Behaviour.decode": InDecode,
    "Behaviour.encode": InEncode,
    "Behaviour.function": InFunction,
    "Behaviour.in_doubt": InDoubt,
    "Behaviour.on_abandoned": InFollowUp,
    "Behaviour.payload": InPayload,
    "Run.first.functions": InFirst,
    "Run.gather.functions": InGather,
    "Run.map.function": InMap,
    "Run.step.function": InStep,
    "Seams.boot_clock": InBootClock,
    "Seams.random": InRandom,
    "Seams.wall_clock": InWallClock,
    "Store.read.read": InRead,
    "Supervisor.add_hook.hook": InHook,
    "a payload": InPayloadValue,
    "a log handler": InLog,
}
"""By what is handed over; the last two are in no signature."""

DISK = "the ground of the store: what it raises is an I/O error, and stops the store as one (the fault sweep)"
NOT_HERE: dict[str, str] = {
    "Seams.identity": "read once, while the host opens",
    "Seams.reader_executor": DISK,
    "SqliteOptions.files": DISK,
    "SqliteOptions.locks": DISK,
    "Seams.step_executor": "runs what `Run.step.function` raises",
    "Seams.writer_executor": DISK,
    "EventTypes.add.cls": "called in the caller's task",
    "open_supervisor.behaviours": "see Behaviour",
    "Supervisor.remove_hook.hook": "not called any more",
    "Supervisor.serve_queue.handler": "what it raises ends its attempt: tests/supervisor/serving/test_serving.py",
}

CODE = (
    "Callable",
    "Awaitable",
    "type[",
    "Hook",
    "BehaviourFunction",
    "random",
    "Files",
    "Locks",
    "Executor",
    "Identity",
)
"""Words in an annotation that say that code is handed over."""


def handed_over() -> set[str]:
    """Everything in the public signatures that is code of the user."""

    def is_code(annotation: object) -> bool:
        return any(word in str(annotation) for word in CODE)

    found: set[str] = set()
    for name in dir(tenure):
        public = getattr(tenure, name)
        if name.startswith("_") or inspect.ismodule(public):
            continue
        functions = {name: public} if inspect.isfunction(public) else {}
        if inspect.isclass(public):
            fields = attrs.fields(public) if attrs.has(public) else ()
            found.update(f"{name}.{field.name}" for field in fields if field.init and is_code(field.type))
            methods = inspect.getmembers(public, inspect.isfunction)
            functions = {f"{name}.{method}": function for method, function in methods if not method.startswith("_")}
        for place, function in functions.items():
            given = inspect.signature(function).parameters.values()
            found.update(f"{place}.{each.name}" for each in given if is_code(each.annotation))
    return found


def test_whatever_a_user_can_hand_over_is_in_the_sweep_or_has_a_reason() -> None:
    assert handed_over() - {*PLACES, *NOT_HERE} == set()


def chosen() -> list[tuple[str, str]]:
    return share(itertools.product(PLACES, ERRORS), 6)


@asynccontextmanager
async def opened(target: Path | str, place: Place) -> AsyncGenerator[tenure.Supervisor]:
    behaviours = {"mallory": place.behaviour(), "kind": nothing}
    with trio.fail_after(LONGEST_S):
        async with tenure.open_supervisor(target, behaviours=behaviours, seams=place.seams(), drain_s=0) as supervisor:
            yield supervisor


@pytest.mark.parametrize(("name", "error"), chosen())
async def test_no_host_ends_by_what_was_handed_over(
    name: str, error: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    bomb = Bomb(error)
    place = PLACES[name](bomb)
    target = ":memory:" if error < "a" else tmp_path / "agents.db"
    async with opened(target, place) as supervisor:
        mallory = await supervisor.spawn("mallory", "mallory")
        alice = await supervisor.spawn("alice", "kind")
        with bomb.armed_for():
            try:
                await place.use(mallory, supervisor)
            except BaseException as exc:
                if not caught(exc):
                    raise
            await trio.sleep(20)
        assert bomb.raised
        assert host_of(supervisor).tasks.failure is None
        await consumed(alice, "go")
        await consumed(await supervisor.spawn("bob", "kind"), "go")
