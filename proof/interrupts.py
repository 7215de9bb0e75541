"""Ctrl-C at every place of the library: ``python -m proof.interrupts``.

A story of a host is played once to learn its places: every line of the library that the main thread passes. Then it is played
again for each place, on a new file, and SIGINT comes there. Each time the program must leave with `KeyboardInterrupt` and
nothing else, within a bounded number of turns of the loop, with every file closed; every acknowledged input must end in the
next host; and nothing may be charged. A watchdog ends what hangs.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, final

import trio

import tenure
import tenure.asyncio
from tenure.supervisor.supervisor import host_of

WATCHDOG_S: Final = 30.0
TURNS: Final = 300
"""Most turns of the loop between the signal and the end."""

Place = tuple[str, int]

ROOT: Final = str(Path(tenure.__file__).parent)
OUTSIDE: Final = (f"{ROOT}/testing", f"{ROOT}/cli")


@final
class InterruptFailure(Exception):
    """A place where Ctrl-C did harm."""


@final
class Story:
    """What is played: a host that does a little of everything.

    Attributes:
        acknowledged: Keys of inputs whose accept has returned.
    """

    def __init__(self, database: Path) -> None:
        """On this file, which may be there."""
        self.database = database
        self.acknowledged: list[str] = []

    async def agent(self, run: tenure.Run) -> None:
        """A run with a sync and an async step, a checkpoint, a send and a nap."""
        await run.step("sync", abs, -1, repeat="freely")
        await run.step("async", _answer, repeat="keyed")
        run.session.append("seen")
        await run.checkpoint()
        if run.runtime_id == "a":
            run.send("b", "from a")
        await run.sleep(0.001)

    async def on_trio(self) -> None:
        """The story on trio."""
        async with tenure.open_supervisor(self.database, behaviours={"k": self.agent}) as supervisor:
            await self._tell(supervisor)

    async def on_asyncio(self) -> None:
        """The same on asyncio."""
        async with tenure.asyncio.open_supervisor(self.database, behaviours={"k": self.agent}) as supervisor:
            await self._tell(supervisor)

    async def _tell(self, supervisor: Any) -> None:
        await supervisor.spawn("b", "k")
        runtime = await supervisor.spawn("a", "k")
        for key in ("one", "two", "three"):
            ticket = await runtime.accept(key, idempotency_key=key)
            self.acknowledged.append(key)
        await ticket.wait_outcome()
        await supervisor.read_session("a")
        await supervisor.backlog()
        await runtime.retire()
        await runtime.wait_state("retired")

    async def look(self) -> None:
        """A host without a Ctrl-C: what was acknowledged ends, and nothing was charged."""
        async with tenure.open_supervisor(self.database, behaviours={"k": self.agent}) as supervisor:
            for key in self.acknowledged:
                ticket = await supervisor.ticket("a", idempotency_key=key)
                found = await ticket.wait_outcome()
                if found.phase != "consumed":
                    message = f"acknowledged input {key!r} has ended as {found.phase}, {found.reason}"
                    raise InterruptFailure(message)
            if any(facts.why_held is not None for facts in host_of(supervisor).owned.all):
                message = "a runtime is held"
                raise InterruptFailure(message)
            async with supervisor.store.read_connection() as connection:
                charged = await connection.query("SELECT runtime_id, crashes, failures FROM runtimes WHERE crashes > 0")
            if charged:
                message = f"charged: {charged}"
                raise InterruptFailure(message)


async def _answer(key: str) -> int:
    await trio.lowlevel.checkpoint()
    return len(key)


@final
class Tracer:
    """Follows the library's lines in the main thread."""

    def __init__(self, at: Place | None) -> None:
        """Send SIGINT at the first pass of a place, or only learn the places."""
        self.at = at
        self.places: dict[Place, None] = {}
        self.struck = False

    def call(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        """For each new frame: whether its lines are followed."""
        name = frame.f_code.co_filename
        return self.line if name.startswith(ROOT) and not name.startswith(OUTSIDE) and not self.struck else None

    def line(self, frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        """For each line."""
        if event == "line":
            place = (frame.f_code.co_filename[len(ROOT) + 1 :], frame.f_lineno)
            if self.at is None:
                self.places[place] = None
            elif place == self.at and not self.struck:
                self.struck = True
                signal.raise_signal(signal.SIGINT)
        return self.line


@final
class Turns(trio.abc.Instrument):
    """Counts the turns of the loop after the signal."""

    def __init__(self, tracer: Tracer) -> None:
        """Of this tracer's."""
        self._tracer = tracer
        self.after = 0

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - trio's
        """Trio's, once a turn."""
        self.after += self._tracer.struck


@final
class Sweep:
    """Plays the story at each place."""

    def __init__(self, folder: Path, front: str) -> None:
        """In this folder."""
        self._folder = folder
        self._front = front
        self.most_turns = 0
        self.most_s = 0.0

    def learn(self) -> list[Place]:
        """The places, in their order."""
        tracer = Tracer(None)
        self._tell(Story(self._folder / "learn.db"), tracer, Turns(tracer))
        return list(tracer.places)

    def strike(self, number: int, place: Place) -> bool:
        """Ctrl-C at one place; whether the story passed it. Raises `InterruptFailure`."""
        story, tracer = Story(self._folder / f"{number}.db"), Tracer(place)
        turns = Turns(tracer)
        faulthandler.dump_traceback_later(WATCHDOG_S, exit=True)
        began = time.monotonic()
        ended: BaseException | None = None
        try:
            self._tell(story, tracer, turns)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it is judged below
            ended = exc
        took = time.monotonic() - began
        if not tracer.struck:
            faulthandler.cancel_dump_traceback_later()
            return False
        self.most_turns, self.most_s = max(self.most_turns, turns.after), max(self.most_s, took)
        if type(ended) is not KeyboardInterrupt:
            message = f"it ended with {ended!r}"
            raise InterruptFailure(message) from ended
        if turns.after > TURNS:
            message = f"it took {turns.after} turns of the loop"
            raise InterruptFailure(message)
        if left := _open_files(story.database):
            message = f"left open: {left}"
            raise InterruptFailure(message)
        trio.run(story.look)
        faulthandler.cancel_dump_traceback_later()
        return True

    def _tell(self, story: Story, tracer: Tracer, turns: Turns) -> None:
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # a shell that starts us in the background has it ignored
        sys.settrace(tracer.call)
        try:
            if self._front == "trio":
                trio.run(story.on_trio, instruments=[turns])
            else:
                coroutine: Coroutine[Any, Any, None] = story.on_asyncio()
                asyncio.run(coroutine)
        finally:
            sys.settrace(None)


def _open_files(database: Path) -> list[str]:
    found: list[str] = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            target = str(each.readlink())
            if target.startswith(str(database)):
                found.append(target)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Sweep, print what was found, and return 1 where a place failed."""
    parser = argparse.ArgumentParser(prog="python -m proof.interrupts", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every n-th place")
    parser.add_argument("--first", type=int, default=0, help="begin with this one")
    parser.add_argument("--front", choices=("trio", "asyncio"), default="trio")
    options = parser.parse_args(arguments)
    began, failed, struck = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        sweep = Sweep(Path(folder), options.front)
        places = sweep.learn()
        chosen = list(enumerate(places))[options.first :: options.every]
        for number, place in chosen:
            try:
                struck += sweep.strike(number, place)
            except InterruptFailure as exc:
                failed += 1
                sys.stdout.write(f"place {number}, {place[0]}:{place[1]}: {exc}\n")
                sys.stdout.flush()
    sys.stdout.write(
        f"Ctrl-C at {struck} places of {len(places)} ({options.front}, every {options.every}): {failed} failed, "
        f"at most {sweep.most_turns} turns of the loop and {sweep.most_s:.2f} s, {time.monotonic() - began:.0f} s\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
