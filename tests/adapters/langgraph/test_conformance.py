"""`TenureSaver` under the suites that LangGraph's savers are tested with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import BASE_CAPABILITIES, EXTENDED_CAPABILITIES

import tenure.asyncio
import tenure.sync
from tenure.adapters.langgraph import TenureSaver
from tests.adapters.suite import Otherwise, run_suite, sdist


@pytest.mark.parametrize("front", ["asyncio", "sync"])
def test_every_case_of_the_conformance_suite_passes(
    tmp_path: Path, front: str, record_property: Callable[[str, object], None]
) -> None:
    files = (tmp_path / f"{number}.db" for number in count())

    @checkpointer_test(name=front)
    async def saver() -> AsyncGenerator[TenureSaver]:
        if front == "asyncio":
            async with tenure.asyncio.open_store(next(files)) as store:
                yield TenureSaver(store)
        else:
            with tenure.sync.open_store(next(files)) as store:
                yield TenureSaver(store)

    report = asyncio.run(validate(saver))

    passed: dict[str, Any] = {name: result.tests_passed for name, result in report.results.items()}
    assert not [result.failures for result in report.results.values() if result.passed is not True]
    base = sum(passed[each.value] for each in BASE_CAPABILITIES)
    extended = sum(passed[each.value] for each in EXTENDED_CAPABILITIES)
    record_property(
        "suite",
        f"langgraph-checkpoint-conformance 0.0.2 over tenure.{front}: {base} base and {extended} extended passed",
    )
    assert (base, extended) == (58, 23)


OTHERWISE: Otherwise = {
    "test_conformance_delta::test_delta_channel_conformance": (
        "'delta_channel_history' is not a valid Capability",
        "asks the conformance suite for what its last version lacks, and fails over their own saver too",
    ),
    "test_delta_parent_walk::test_walk_step_looks_up_the_parent_by_primary_key": (
        "no attribute 'setup'",
        "asks the connection of their saver, which it sets up, for a query plan",
    ),
}


@pytest.mark.slow
def test_the_delta_tests_of_the_saver_that_ships_pass(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    folder = sdist("langgraph-checkpoint-sqlite", "3.1.2", tmp_path)
    names = ("conformance_delta", "delta_parent_walk", "get_delta_channel_history", "delta_channel_migration")
    files = [f"tests/test_{name}.py" for name in names]

    counted = run_suite(folder, *files, shim=Path(__file__).with_name("sqlite_shim.py"))

    record_property("suite", f"langgraph-checkpoint-sqlite 3.1.2, delta tests: {counted}")
    counted.check(OTHERWISE)
    assert (len(counted.named("passed")), len(counted.outcomes)) == (22, 24)
