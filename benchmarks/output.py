"""What it costs that agents speak: beside a step, flat out, and to read at the end of much.

    python benchmarks/output.py

**beside**: 100 agents get 50 tokens of 20 bytes a second each, and one more agent steps and measures each step. In turns the
tokens are dropped, emitted, and emitted and followed. `rise` is how much longer than beside dropped ones the median step is.

**flat_out**: one run emits tokens of 20 bytes as fast as it can, until all are on disk; in turns with APSW alone, which inserts
the same entries as rows, 250 a statement, 2,500 a transaction, each synced. Compared are the clock and the processor; on a
machine that does other things beside, only the latter holds.

**reading**: one entry more is said, and read by one who stands at the end: of a new output, and of one of a million entries.
"""

from __future__ import annotations

import statistics
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter, process_time, time
from typing import Any, Final, Protocol, final

import apsw
import trio
from attrs import astuple, frozen
from measuring.report import options, print_line, ratio, scratch

import tenure

AGENTS: Final = 100
TOKENS_S: Final = 50
TOKEN: Final = "twenty bytes of text"  # noqa: S105 - no secret
ROWS: Final = 250
GROUP: Final = 2_500
MANY: Final = 1_000_000
MODES: Final = ("dropped", "emitted", "followed")

KEPT: Final = tenure.Retention(output_entries=10 * MANY)


async def tool() -> int:
    """A tool that takes no time."""
    return 1


@final
@frozen(slots=True)
class Took:
    """What so many entries took: seconds of the clock, and of the processor."""

    clock_s: float
    cpu_s: float

    @classmethod
    def since(cls, began: Took) -> Took:
        """From that moment until now."""
        now = cls.now()
        return cls(now.clock_s - began.clock_s, now.cpu_s - began.cpu_s)

    @classmethod
    def now(cls) -> Took:
        """A moment."""
        return cls(perf_counter(), process_time())


class Say(Protocol):
    """Has the run say so many tokens; what that takes until they are on disk."""

    def __call__(self, count: int, /, *, in_step: bool = False) -> Awaitable[Took]:
        """By ``run.emit``, or in a step by ``tenure.emit``."""
        ...


class Beside:
    """Agents that get tokens, and one that measures its steps beside them."""

    def __init__(self, steps: int) -> None:
        """So many steps a turn."""
        self.mode = "dropped"
        self.begun = trio.Event()
        self.over = trio.Event()
        self._steps = steps

    async def speak(self, run: tenure.Run) -> None:
        """Get tokens until the turn is over."""
        await run.step("ask", self._ask, repeat="freely")

    async def _ask(self) -> None:
        tokens, began = 0, trio.current_time() + hash(trio.lowlevel.current_task()) % 100 / 5_000
        while not self.over.is_set():
            tokens += 1
            await trio.sleep_until(began + tokens / TOKENS_S)
            if self.mode != "dropped":
                tenure.emit(TOKEN)

    async def step(self, run: tenure.Run) -> list[float]:
        """The seconds of each step."""
        found: list[float] = []
        for _ in range(self._steps):
            began = perf_counter()
            await run.step("tool", tool, repeat="freely")
            found.append(perf_counter() - began)
            await trio.sleep(0.005)
        return found

    async def turn(self, supervisor: tenure.Supervisor, agents: int, mode: str) -> tuple[float, float]:
        """The median step of one turn, in milliseconds, and the share of a processor that it took."""
        self.mode, self.over = mode, trio.Event()
        stepper = await supervisor.spawn("stepper", "step")
        speakers = [await (await supervisor.spawn(f"agent/{n}", "speak")).accept("go") for n in range(agents)]
        async with trio.open_nursery() as nursery:
            if mode == "followed":
                nursery.start_soon(self._follow, supervisor)
            await trio.sleep(0.5)
            began = Took.now()
            outcome = await (await stepper.accept("go")).wait_outcome()
            took = Took.since(began)
            self.over.set()
            for each in speakers:
                await each.wait_outcome()
            nursery.cancel_scope.cancel()
        return statistics.median(outcome.result) * 1_000, took.cpu_s / took.clock_s

    async def _follow(self, supervisor: tenure.Supervisor) -> None:
        newest = await _newest(supervisor)
        async for _ in supervisor.follow(newest):
            pass


async def _newest(supervisor: tenure.Supervisor) -> str | None:
    async with supervisor.store.read_connection() as connection:
        found = await connection.query(
            "SELECT printf('%016x%05x', chunk, 0) FROM output_chunks ORDER BY chunk DESC LIMIT 1"
        )
    return found[0][0] if found else None


async def beside(path: Path, agents: int, steps: int, repeats: int) -> dict[str, Any]:
    """Steps beside each mode, in turns."""
    bench = Beside(steps)
    found: dict[str, list[tuple[float, float]]] = {mode: [] for mode in MODES}
    behaviours = {"speak": bench.speak, "step": bench.step}
    async with tenure.open_supervisor(path, behaviours=behaviours, retention=KEPT) as supervisor:
        for _ in range(repeats):
            for mode in MODES:
                found[mode].append(await bench.turn(supervisor, agents, mode))
    p50 = {mode: statistics.median([ms for ms, _ in turns]) for mode, turns in found.items()}
    share = {mode: statistics.median([share for _, share in turns]) for mode, turns in found.items()}
    return {
        **{mode: {"p50_ms": round(p50[mode], 3), "of_a_processor": round(share[mode], 2)} for mode in MODES},
        "rise": round(p50["emitted"] / p50["dropped"] - 1, 3),
        "rise_followed": round(p50["followed"] / p50["dropped"] - 1, 3),
    }


@asynccontextmanager
async def speaker(path: Path) -> AsyncGenerator[tuple[tenure.Supervisor, Say]]:
    """A host, and a function that has one run say so many tokens."""

    async def stream(count: int) -> None:
        for _ in range(count):
            while not tenure.emit(TOKEN):  # noqa: ASYNC110 - the buffer is full, and sets no event
                await trio.sleep(0.001)

    async def behaviour(run: tenure.Run) -> list[float]:
        count, in_step = run.inputs[0].payload
        began = Took.now()
        if in_step:
            await run.step("stream", stream, count, repeat="freely")
        else:
            for _ in range(count):
                await run.emit(TOKEN)
        await run.flush()
        return list(astuple(Took.since(began)))

    async with tenure.open_supervisor(path, behaviours={"agent": behaviour}, retention=KEPT) as supervisor:
        runtime = await supervisor.spawn("alice", "agent")

        async def say(count: int, *, in_step: bool = False) -> Took:
            outcome = await (await runtime.accept([count, in_step])).wait_outcome()
            return Took(*outcome.result)

        yield supervisor, say


def raw(path: Path, count: int) -> Took:
    """What APSW alone takes for the same entries, as rows."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "WAL")
    connection.pragma("synchronous", "FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS said (entry INTEGER PRIMARY KEY, runtime INTEGER NOT NULL, run_id TEXT NOT NULL,"
        " channel TEXT NOT NULL, said_at REAL NOT NULL, value BLOB NOT NULL)"
    )
    insert = "INSERT INTO said (runtime, run_id, channel, said_at, value) VALUES " + ",".join(["(?,?,?,?,?)"] * ROWS)  # noqa: S608
    value = f'"{TOKEN}"'.encode()
    began = Took.now()
    for _ in range(count // GROUP):
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(GROUP // ROWS):
            connection.execute(insert, (1, "run-1", "output", time(), value) * ROWS)
        connection.execute("COMMIT")
    took = Took.since(began)
    connection.close()
    return took


async def flat_out(folder: Path, count: int, repeats: int) -> dict[str, Any]:
    """As fast as it goes, in turns with APSW alone."""
    took: dict[str, list[Took]] = {"raw": [], "run_emit": [], "emit_in_a_step": []}
    async with speaker(folder / "flat.db") as (_, say):
        for _ in range(repeats):
            took["raw"].append(raw(folder / "raw.db", count))
            took["run_emit"].append(await say(count))
            took["emit_in_a_step"].append(await say(count, in_step=True))
    found: dict[str, Any] = {"entries": count}
    clock = {name: statistics.median([each.clock_s for each in turns]) for name, turns in took.items()}
    cpu = {name: statistics.median([each.cpu_s for each in turns]) for name, turns in took.items()}
    for name in took:
        found[name] = {"per_s": round(count / clock[name]), "per_cpu_s": round(count / cpu[name])}
        if name != "raw":
            found[name] |= {"of_raw": ratio(clock["raw"], clock[name]), "of_raw_cpu": ratio(cpu["raw"], cpu[name])}
    return found


async def reading(folder: Path, many: int, reads: int) -> dict[str, Any]:
    """One entry more, read from the end of a new output and from that of a long one."""
    found: dict[str, float] = {}
    for name, before in (("new", 1), ("long", many)):
        async with speaker(folder / f"{name}.db") as (supervisor, say):
            await say(before)
            took: list[float] = []
            for _ in range(reads):
                reader = supervisor.runtime("alice").follow(await _newest(supervisor))
                while (await anext(reader)).kind is not tenure.OutputKind.ENDED:
                    pass
                await say(1)
                began = process_time()
                await anext(reader)
                took.append(process_time() - began)
            found[name] = statistics.median(took) * 1e6
    return {f"{name}_cpu_us": round(each) for name, each in found.items()} | {
        "entries": many,
        "ratio": ratio(found["long"], found["new"]),
    }


async def main() -> None:
    """All three."""
    given = options(__doc__ or "").parse_args()
    small = given.small
    repeats = 1 if small else given.repeats
    with scratch(given.folder) as name:
        folder = Path(name)
        spoken = await beside(folder / "beside.db", 3 if small else AGENTS, 20 if small else 300, repeats)
        flat = await flat_out(folder, 5_000 if small else 200_000, repeats)
        read = await reading(folder, 5_000 if small else MANY, 20 if small else 200)
    print_line("output", beside=spoken, flat_out=flat, reading=read)


if __name__ == "__main__":
    trio.run(main)
