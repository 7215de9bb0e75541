"""A host is killed at chosen points, and started again: what each input became, and why.

    python examples/crash_recovery.py

For each point a child process opens the store, works, and ends itself by SIGKILL exactly there. Then this process opens the
store and does what any client does that got no answer: it hands the input over again under the same idempotency key. What to
look at is the lines beneath each point: whether the input was there, how often the tool was called, and how it ended.

The tool writes a line into its own file for each call. That file is the world outside: no database can take it back, and
it shows where a call was made twice.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, final

import attrs
import trio
from scratch import database, parser

import tenure
from tenure.errors import NotAccepting
from tenure.persistence.seams.executors import (
    Heard,
    ThreadExecutor,
)

T = TypeVar("T")

KIND: Final = "clerk"


@final
@attrs.frozen(slots=True)
class Point:
    """A place to die, and what is said of it."""

    name: str
    place: str
    why: str
    repeat: str = attrs.field(default="freely", kw_only=True)


POINTS: Final = (
    Point(
        "accept-before",
        "in accept, before its commit",
        "Nothing was written, and no caller had an answer. The client repeats, and that is the first time.",
    ),
    Point(
        "accept-after",
        "in accept, after its commit and before the acknowledgement",
        "The input was on disk, the client could not know. The key finds it: no second input.",
    ),
    Point(
        "staged",
        "when a run has begun and its behaviour has not",
        "The run's claim is on disk, its end is not. It enters again from its top, under the same run id.",
    ),
    Point(
        "in-freely",
        "in a step that may run freely, after the tool was called",
        "The result never reached the disk, so the tool is called again. That is what `freely` allows.",
    ),
    Point(
        "in-keyed",
        "in a keyed step, after the tool was called",
        "The tool is called again, with the same key: a server that knows keys does nothing the second time.",
        repeat="keyed",
    ),
    Point(
        "in-never",
        "in a step that must never run twice, after the tool was called",
        "The store cannot say whether it ran. The runtime is held until a person has looked.",
        repeat="never",
    ),
    Point(
        "between",
        "between the result of a step and the end of the run",
        "The result was on disk before the behaviour saw it. It is replayed, and the tool is not called again.",
    ),
    Point(
        "finish-before",
        "in the commit that ends the run, before it lands",
        "What was appended and what was consumed are one commit: neither is there. Only the step is replayed.",
    ),
    Point(
        "finish-after",
        "in the commit that ends the run, after it landed",
        "All of it is there. The same key now answers with the outcome, and nothing runs.",
    ),
    Point(
        "retire-before",
        "in the lifecycle verb retire, before its commit",
        "It did not happen: the runtime takes inputs as before.",
    ),
    Point(
        "retire-after",
        "in the lifecycle verb retire, after its commit",
        "It happened, though no caller heard of it: retired survives, a known key is answered, a new input is refused.",
    ),
)


# --- The behaviour, and its tool ------------------------------------------------------------------


@final
class KillingExecutor:
    """The writer's thread, with a death around the next group of commits: `tenure.Seams` puts it in the store's way.

    Attributes:
        armed: A point that ends in ``-before`` or ``-after``, or an empty text.
    """

    def __init__(self) -> None:
        self.armed = ""
        self._inner = ThreadExecutor("tenure-writer")

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        """Run one group, or die around it."""
        return await self._inner.run(partial(self._perform, function, self.armed), heard)

    def close(self) -> None:
        """As the executor beneath."""
        self._inner.close()

    def _perform(self, function: Callable[[], T], armed: str) -> T:
        if armed.endswith("-before"):
            os.kill(os.getpid(), signal.SIGKILL)
        result = function()
        if armed.endswith("-after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return result


@final
@attrs.define(slots=True)
class Scene:
    """One runtime with its point, the tool's own file, and the writer of a host that will die there, or None."""

    point: Point
    log: Path
    writer: KillingExecutor | None = None

    def pass_by(self, name: str) -> None:
        """Die here if this is the point."""
        if self.writer is not None and self.point.name == name:
            os.kill(os.getpid(), signal.SIGKILL)

    def arm(self, verb: str) -> None:
        """Die around the next group of commits if the point is one of this verb."""
        if self.writer is not None and self.point.name.startswith(f"{verb}-"):
            self.writer.armed = self.point.name

    def tool(self, text: str, *, key: str = "") -> str:
        """Do something to the world outside, and answer."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{self.point.name} {key}\n")
        self.pass_by(f"in-{self.point.repeat}")
        return text.upper()

    async def behave(self, run: tenure.Run) -> None:
        """Call the tool for the input, and note its answer in the conversation."""
        self.pass_by("staged")
        answer = await run.step("tool", self.tool, run.inputs[0].payload, repeat=self.point.repeat)
        self.pass_by("between")
        run.session.append(answer)
        self.arm("finish")

    def calls(self) -> list[str]:
        """The tool's calls for this runtime: the key of each."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{self.point.name} ")]


# --- The host that dies ---------------------------------------------------------------------------


async def die(path: Path, scene: Scene) -> None:
    """Open the store, work, and be killed at the scene's point."""
    writer = scene.writer = KillingExecutor()
    seams = tenure.Seams(writer_executor=lambda: writer)
    async with tenure.open_supervisor(path, behaviours={KIND: scene.behave}, seams=seams) as supervisor:
        runtime = await supervisor.spawn(scene.point.name, KIND)
        scene.arm("accept")
        ticket = await runtime.accept("hello", idempotency_key="hello")
        await ticket.wait_outcome()
        scene.arm("retire")
        await runtime.retire()
    raise SystemExit(f"{scene.point.name} was not reached")


# --- The host that comes after it -----------------------------------------------------------------


async def tell(path: Path, scene: Scene) -> bool:
    """Open the store again, hand the input over again, and say what became of it. True when it ended well."""
    before = len(scene.calls())
    async with tenure.open_supervisor(path, behaviours={KIND: scene.behave}) as supervisor:
        runtime = await supervisor.spawn(scene.point.name, KIND)
        ticket = await runtime.accept("hello", idempotency_key="hello")
        say("handed over again", "it was known" if ticket.deduplicated else "it was not there")
        if scene.point.repeat == "never":
            await settle(runtime, scene)
        outcome = await ticket.wait_outcome()
        say("the input is", outcome.phase)
        session: list[Any] = await supervisor.read_session(scene.point.name)
        if scene.point.name.startswith("retire"):
            await tell_lifecycle(runtime)
    calls = scene.calls()
    same = ", each with the same key" if scene.point.repeat == "keyed" and len(set(calls)) == 1 else ""
    say("calls of the tool", f"{before} before the kill, {len(calls) - before} after it{same}")
    say("conversation", session)
    say("why", scene.point.why)
    return outcome.phase == "consumed" and session == ["HELLO"] * len(session)


async def settle(runtime: tenure.Runtime, scene: Scene) -> None:
    """Be the person who looks whether the tool was called, and says so."""
    say("the runtime is held", f"{await runtime.wait_held()} ({runtime.held_detail})")
    say("a person looks", "the tool's own file has the call, so the verdict is: it ran")
    place = (runtime.held_detail or "").partition("step tool at ")[2].split()[0]
    await runtime.settle_step(place, tenure.Ran("HELLO") if scene.calls() else tenure.DidNotRun())


async def tell_lifecycle(runtime: tenure.Runtime) -> None:
    """Whether the runtime is retired, and what it says to something new."""
    say("the runtime is", runtime.state)
    try:
        ticket = await runtime.accept("hello", idempotency_key="something new")
        say("a new input is", (await ticket.wait_outcome()).phase)
    except NotAccepting as refused:
        say("a new input is", f"refused: {type(refused).__name__}")


def say(what: str, value: object) -> None:
    """Print one line of the story."""
    print(f"    {what + ':':<20} {value}")


# --- The story ------------------------------------------------------------------------------------


def main() -> int:
    """Kill a child at each point and say what follows; 0 when every input ended as it should."""
    arguments = parser(__doc__)
    arguments.add_argument("--die-at", choices=[point.name for point in POINTS], help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.die_at:
        [point] = [point for point in POINTS if point.name == given.die_at]
        trio.run(die, given.db, Scene(point, given.db.with_suffix(".calls")))
        return 1  # not reached
    path = database(given)
    if path.exists():
        print(f"{path} exists; the story begins with a new store", file=sys.stderr)
        return 2
    well = True
    for number, point in enumerate(POINTS, 1):
        print(f"\n{number:>2}. Killed {point.place}", flush=True)
        command = [sys.executable, __file__, "--db", str(path), "--die-at", point.name]
        killed = subprocess.run(command, check=False).returncode == -signal.SIGKILL  # noqa: S603 - this file itself
        well &= killed and trio.run(tell, path, Scene(point, path.with_suffix(".calls")))
    print(f"\n{len(POINTS)} kills; {'every input ended as it should' if well else 'SOMETHING IS WRONG'}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
