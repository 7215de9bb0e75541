"""What operators hear of a host: log lines and numbers, beside the errors and never in place of one."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

import tenure
from tenure.errors import Internal
from tenure.supervisor.supervisor import host_of
from tests.kit.hosting import (
    EPOCH,
    consumed,
    host,
    nothing,
)
from tests.kit.worlds import (
    LIMITS,
    Host,
    idle,
    supervisor,
)

ONCE_MORE = tenure.RestartPolicy(max_attempts=2, backoff_s=1, jitter=0)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="tenure")
    return caplog


def told(lines: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.name, record.levelname) for record in lines.records]


async def fail(run: tenure.Run) -> None:
    raise ValueError("bad day")


async def test_failed_attempts_are_told_with_their_traceback_and_the_last_with_its_dead_letters(
    autojump_clock: MockClock, lines: pytest.LogCaptureFixture
) -> None:
    async with host(":memory:", {"kind": tenure.Behaviour(fail, restart=ONCE_MORE)}) as opened:
        runtime = await opened.spawn("alice", "kind")
        ticket = await runtime.accept("a secret of the payload")
        await trio.sleep(0.5)
        assert opened.statistics().backing_off == 1
        await ticket.wait_outcome()
        await trio.testing.wait_all_tasks_blocked()
        seen = opened.statistics()

    assert told(lines) == [
        ("tenure.runs", "WARNING"),
        ("tenure.runs", "ERROR"),
        ("tenure.runs", "ERROR"),
    ]
    first, dead, last = lines.records
    assert "'alice'" in first.getMessage()
    assert "in 1.0 s" in first.getMessage()
    assert "in fail" in (lines.handler.format(first))
    assert "ValueError: bad day" in lines.handler.format(last)
    assert ticket.input_id in dead.getMessage()
    assert {record.__dict__["runtime_id"] for record in lines.records} == {"alice"}
    assert dead.__dict__["input_id"] == ticket.input_id
    assert "secret" not in lines.text
    assert (seen.failed_attempts, seen.dead_letters, seen.backing_off, seen.held) == (2, 1, 0, 0)


async def test_of_very_many_exceptions_that_were_raised_from_one_another_the_last_is_written_alone(
    autojump_clock: MockClock, lines: pytest.LogCaptureFixture
) -> None:
    # Each line is formatted in the loop: a loop that connects again and raises from its last error made others wait.
    async def chained(run: tenure.Run) -> None:
        last: ValueError | None = None
        for number in range(5_000):
            following = ValueError(f"try {number}")
            following.__cause__, last = last, following
        assert last is not None
        raise last

    async with host(":memory:", {"kind": tenure.Behaviour(chained, restart=ONCE_MORE)}) as opened:
        runtime = await opened.spawn("alice", "kind")
        await (await runtime.accept(None)).wait_outcome()

    texts = [lines.handler.format(each) for each in lines.records if each.exc_info]
    assert len(texts) == 2
    assert all("try 4999" in text and "in chained" in text and "try 4998" not in text for text in texts)


async def test_a_runtime_that_is_held_and_a_send_that_is_refused_are_told(
    autojump_clock: MockClock, lines: pytest.LogCaptureFixture
) -> None:
    async def sender(run: tenure.Run) -> None:
        run.send("nobody", "hello")

    policy = tenure.RestartPolicy(budget=1)
    async with host(":memory:", {"bad": tenure.Behaviour(fail, restart=policy), "sender": sender}) as opened:
        await consumed(await opened.spawn("bob", "sender"), "go")
        alice = await opened.spawn("alice", "bad")
        await alice.accept("go")
        assert await alice.wait_held() == "budget used up"
        seen = opened.statistics()

    assert [(r.levelname, r.__dict__["runtime_id"]) for r in lines.records][:2] == [
        ("WARNING", "bob"),
        ("ERROR", "alice"),
    ]
    assert "'nobody'" in lines.records[0].getMessage()
    assert "budget used up: ValueError: bad day" in lines.records[1].getMessage()
    assert (seen.refused_sends, seen.held) == (1, 1)


@pytest.mark.sqlite("a death is proven by a lock file")
async def test_hosts_that_are_lost_and_come_back_are_told(
    tmp_path: Path, autojump_clock: MockClock, lines: pytest.LogCaptureFixture
) -> None:
    freezing, dying = Host(), Host()
    path = tmp_path / "agents.db"
    async with supervisor(path, {"kind": idle}) as observer, supervisor(path, {"kind": idle}, freezing) as zombie:
        async with supervisor(path, {"kind": idle}, dying) as dead:
            incarnation = dead.store.incarnation
            dying.gate.freeze()
            dying.locks.die()
            await trio.sleep(1)
            assert incarnation in lines.text
            dying.gate.thaw()
        await zombie.spawn("kept", "kind")
        freezing.gate.freeze()
        await trio.sleep(2 * LIMITS.lease_s)
        freezing.gate.thaw()
        await zombie.runtime("kept").retire()

        assert observer.statistics().lost_hosts >= 1
        assert any("is lost, it is dead" in line for line in lines.messages)
        assert any("renewed nothing for one lease" in line for line in lines.messages)
        assert any(zombie.store.incarnation in line and "judged dead" in line for line in lines.messages)
        assert {name for name, _ in told(lines)} == {"tenure.hosts"}


async def test_a_supervisor_that_ends_by_itself_says_why(
    autojump_clock: MockClock, lines: pytest.LogCaptureFixture
) -> None:
    async def mistake() -> None:
        raise LookupError("a mistake of ours")

    async def end_by_it() -> None:
        async with host(":memory:", {}) as opened:
            host_of(opened).tasks.start_soon(mistake)
            await trio.sleep_forever()

    with pytest.raises(Internal):
        await end_by_it()

    assert told(lines) == [("tenure.hosts", "CRITICAL")]
    assert "LookupError: a mistake of ours" in lines.text


async def test_a_log_handler_that_raises_costs_its_line_and_nothing_else(autojump_clock: MockClock) -> None:
    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise RuntimeError("no room for a log")

    broken = Broken()
    logger = logging.getLogger("tenure.runs")
    logger.addFilter(broken)
    try:
        async with host(":memory:", {"kind": tenure.Behaviour(fail, restart=ONCE_MORE)}) as opened:
            outcome = await (await (await opened.spawn("alice", "kind")).accept("go")).wait_outcome()
    finally:
        logger.removeFilter(broken)

    assert outcome.reason == "max_attempts_exhausted"


async def test_the_backlog_tells_what_waits_and_since_when(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {"kind": nothing}) as before:
        assert await before.backlog() == tenure.Backlog(inputs=0, oldest_at=None)
        for name in ("a", "b"):
            await before.spawn(name, "kind")
    async with host(database, {}) as after:
        now = EPOCH + trio.current_time()
        await after.accept("a", 1)
        await trio.sleep(10)
        await after.accept("b", 2)

        waiting = await after.backlog()

    assert waiting.inputs == 2
    assert waiting.oldest_at == pytest.approx(now, abs=0.1)


@pytest.mark.process
async def test_a_behaviour_that_blocks_the_loop_is_named(tmp_path: Path, lines: pytest.LogCaptureFixture) -> None:
    async def blocks(run: tenure.Run) -> None:
        time.sleep(1.8)  # noqa: ASYNC251 - that is its mistake

    async with tenure.open_supervisor(tmp_path / "agents.db", behaviours={"k": blocks}) as opened:
        await consumed(await opened.spawn("blocking", "k"), "go")
        with trio.fail_after(30):
            while not opened.statistics().longest_block_s:  # noqa: ASYNC110 - a number has no event
                await trio.sleep(0.001)

    place = f"blocks in test_log.py:{blocks.__code__.co_firstlineno + 1}"
    said = [line for line in lines.messages if place in line]  # on a busy machine the loop may be late by itself too
    assert any("the loop has not run" in line for line in said)  # while it lasted
    assert any("stood still" in line and "'blocking'" in line for line in said)
    assert {*told(lines)} == {("tenure.hosts", "WARNING")}
