"""What a step costs and what a run reads when it enters again: counted, and one ratio of times of the processor in one run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import pytest
from trio.testing import MockClock

import tenure
from tenure.supervisor.runs.stepping.results import (
    WINDOW_BYTES,
    WINDOW_COUNT,
)
from tests.kit.alone import ALONE, virtual_seams
from tests.kit.statements import statements_heard

COMMITS = {"freely": 1, "keyed": 2, "never": 2}


async def tool(number: int, **_: str) -> int:
    return number


@pytest.mark.parametrize("repeat", COMMITS)
async def test_a_freely_step_is_one_commit_and_the_others_two(repeat: str) -> None:
    found: list[int] = []

    async def behaviour(run: tenure.Run) -> None:
        for number in range(20):
            before = supervisor.statistics().commits
            await run.step("tool", tool, number, repeat=repeat)
            found.append(supervisor.statistics().commits - before)

    async with tenure.open_supervisor(":memory:", behaviours={"agent": behaviour}) as supervisor:
        await (await (await supervisor.spawn("a", "agent")).accept(1)).wait_outcome()

    assert found == [COMMITS[repeat]] * 20


@pytest.fixture
def read() -> Iterator[list[int]]:
    """The results that are read by themselves, on every connection of the test."""
    seen: list[int] = []
    with statements_heard(lambda sql: seen.extend([1] if sql.startswith("SELECT result, result_digest") else [])):
        yield seen


SIZES = {"short": 100, "long": 4_000, "huge": WINDOW_BYTES + 1}


@pytest.mark.parametrize("size", SIZES)
async def test_long_results_are_read_as_they_are_reached_and_short_ones_come_with_their_entry(
    autojump_clock: MockClock, tmp_path: Path, read: list[int], size: str
) -> None:
    count = 12 if size == "huge" else WINDOW_COUNT + 50
    results: list[list[str]] = [[], []]
    read_by: list[int] = []

    def answer(number: int) -> str:
        return str(number).rjust(SIZES[size], "x")

    async def behaviour(run: tenure.Run) -> None:
        for number in range(count):
            results[run.attempts].append(await run.step("ask", answer, number, repeat="freely"))
            read_by.append(len(read))
        if not run.attempts:
            read_by.clear()
            raise ValueError("once more")

    async with tenure.open_supervisor(
        tmp_path / "agents.db", behaviours={"agent": behaviour}, limits=ALONE, seams=virtual_seams(1), durability="os"
    ) as supervisor:
        await (await (await supervisor.spawn("a", "agent")).accept(1)).wait_outcome()

    assert results[0] == results[1]
    window = min(WINDOW_COUNT, WINDOW_BYTES // SIZES["long"])
    expected = {
        "short": [0] * count,
        "long": [min(window * (number // window + 1), count) for number in range(count)],
        "huge": list(range(1, count + 1)),
    }
    assert read_by == expected[size]


@pytest.mark.slow
async def test_a_run_enters_again_in_less_than_half_of_the_time_in_which_it_was_recorded(tmp_path: Path) -> None:
    """`benchmarks/steps.py` compares it with the reading of 10,000 entries; this finds what makes it many times more."""
    entered: list[float] = []
    recorded: list[float] = []
    count = 1_500

    async def behaviour(run: tenure.Run) -> None:
        for number in range(count):
            await run.step("tool", tool, number, repeat="freely")
        (entered if run.attempts else recorded).append(process_time() - began[-1])
        gc.collect()
        began.append(process_time())
        if run.attempts < 3:
            raise ValueError("once more")

    at_once = tenure.RestartPolicy(max_attempts=5, backoff_s=0)
    kinds = {"agent": tenure.Behaviour(behaviour, restart=at_once)}
    async with tenure.open_supervisor(tmp_path / "agents.db", behaviours=kinds, durability="os") as supervisor:
        runtime = await supervisor.spawn("a", "agent")
        began = [process_time()]
        await (await runtime.accept(1)).wait_outcome()

    assert len(entered) == 3
    assert min(entered) < recorded[0] / 2, (entered, recorded)
