"""What goes wrong in a store's own tasks, for which no caller waits, is in the log."""

from __future__ import annotations

import logging
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import Contended
from tenure.persistence.engines.engine import Again
from tenure.persistence.engines.listeners import HintLine
from tenure.persistence.seams.executors import InlineExecutor
from tenure.persistence.writing.hinting.hinting import MISSED, Hinting
from tests.kit.hosting import virtual_seams
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import execute

LIMITS = tenure.Limits(lease_s=9, renew_s=3)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="tenure")
    return caplog


def told(lines: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in lines.records if record.name == "tenure.store"]


async def test_a_lease_that_cannot_be_renewed_is_said_once_and_that_it_is_over(
    tmp_path: Path, autojump_clock: MockClock, lines: pytest.LogCaptureFixture
) -> None:
    broken = False
    plain = virtual_seams()

    def clock() -> float:
        if broken:
            raise ValueError("the battery is empty")
        return plain.boot_clock()

    seams = attrs.evolve(plain, boot_clock=clock)
    async with tenure.open_store(tmp_path / "a.db", seams=seams, limits=LIMITS):
        await trio.sleep(10)
        assert told(lines) == []
        broken = True
        await trio.sleep(20)
        assert [level for level, _ in told(lines)] == ["ERROR"]
        assert "lease" in told(lines)[0][1]
        assert "the battery is empty" in told(lines)[0][1]
        broken = False
        await trio.sleep(10)
        assert [level for level, _ in told(lines)] == ["ERROR", "INFO"]


async def test_an_erasure_that_damage_keeps_from_its_end_is_said(
    tmp_path: Path, autojump_clock: MockClock, lines: pytest.LogCaptureFixture
) -> None:
    async with open_seen_store(tmp_path / "a.db", seams=virtual_seams(), limits=LIMITS) as store:
        await store.runtimes.persist_runtime_state("a", tenure.RuntimeState.DESTROYED)
        await store.erase("a")
        await execute(store, "UPDATE erasures SET stage = 77, done_at = NULL")
    lines.clear()
    async with open_seen_store(tmp_path / "a.db", seams=virtual_seams(), limits=LIMITS):
        await trio.sleep(120)
        assert [level for level, _ in told(lines)] == ["ERROR"]
        assert "an erasure failed" in told(lines)[0][1]


async def test_a_line_that_cannot_be_opened_is_said_once_it_has_failed_for_longer_than_a_server_starts(
    autojump_clock: MockClock, lines: pytest.LogCaptureFixture
) -> None:
    tries = 0

    def open_line(_: int) -> HintLine:
        nonlocal tries
        tries += 1
        message = "sorry, too many clients already"
        raise Again(message)

    hinting = Hinting(open_line, InlineExecutor, lambda: 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hinting.serve)
        while tries < MISSED - 1:
            assert told(lines) == []
            await trio.sleep(0.1)
        await trio.sleep(60)
        assert [level for level, _ in told(lines)] == ["WARNING"]
        assert "too many clients" in told(lines)[0][1]
        nursery.cancel_scope.cancel()


async def test_a_handler_of_the_program_that_raises_costs_its_line_and_no_task(
    autojump_clock: MockClock, lines: pytest.LogCaptureFixture
) -> None:
    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the handler's own mistake")

    def open_line(_: int) -> HintLine:
        raise Contended(detail="not now")

    handler = Raising()
    logging.getLogger("tenure.store").addHandler(handler)
    try:
        hinting = Hinting(open_line, InlineExecutor, lambda: 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hinting.serve)
            await trio.sleep(60)
            nursery.cancel_scope.cancel()
    finally:
        logging.getLogger("tenure.store").removeHandler(handler)
