"""Whether a host can do its work: each trouble is named, while it lasts and no longer, also where its loop stands still."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import tenure
from tenure.errors import InvalidInput
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.seams.executors import InlineExecutor
from tenure.supervisor.operators.health import NO_THREAD_S, HealthReason, Vitals, judge
from tenure.supervisor.supervisor import host_of
from tests.kit.hostile import hostile_values
from tests.kit.hosting import Gate
from tests.kit.processes import running

WELL = Vitals(
    stopped=None,
    loop_late_s=0.0,
    loop_place="",
    writing_s=0.0,
    lease_lapsed=False,
    free_bytes=2**40,
    log_held=False,
    log_pages=7,
    waiting_steps=0,
    youngest_step_s=None,
    longest_step="",
    given_up=0,
)
LIMITS = tenure.Limits()
PATIENCE_S = 120.0

READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM hosts").fetchall()
print("holds", flush=True)
sys.stdin.read()
"""


def reasons(health: tenure.Health) -> list[str]:
    return [each.reason for each in health.problems]


async def nothing(_: tenure.Run) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stopped": "StoreBroken: gone"}, HealthReason.STOPPED),
        ({"loop_late_s": 1.0}, HealthReason.LOOP_BLOCKED),
        ({"writing_s": LIMITS.renew_s}, HealthReason.WRITER_STUCK),
        ({"lease_lapsed": True}, HealthReason.LEASE_LAPSED),
        ({"free_bytes": 99}, HealthReason.DISK_NEARLY_FULL),
        ({"log_held": True}, HealthReason.LOG_HELD),
        ({"waiting_steps": 1, "youngest_step_s": NO_THREAD_S}, HealthReason.THREADS_TAKEN),
        ({"given_up": LIMITS.given_up}, HealthReason.THREADS_TAKEN),
    ],
    ids=lambda each: str(each) if isinstance(each, HealthReason) else "-".join(each),
)
def test_each_trouble_has_its_reason_and_a_host_with_one_is_not_ready(change: dict[str, Any], reason: str) -> None:
    health = judge(attrs.evolve(WELL, **change), LIMITS, 100)

    assert reasons(health) == [reason]
    assert not health.ready
    assert health.live == (reason != HealthReason.STOPPED)


def test_a_host_with_no_trouble_is_live_and_ready() -> None:
    busy = attrs.evolve(
        WELL, loop_late_s=0.9, writing_s=4.9, waiting_steps=9, youngest_step_s=4.9, free_bytes=100, given_up=99
    )
    unknown = attrs.evolve(WELL, free_bytes=None)

    for each in (WELL, busy, unknown):
        assert judge(each, LIMITS, 100) == tenure.Health(live=True, ready=True, problems=())


def test_only_a_loop_that_stands_still_for_a_lease_or_an_end_is_not_live() -> None:
    assert judge(attrs.evolve(WELL, loop_late_s=14.9), LIMITS, 100).live
    assert not judge(attrs.evolve(WELL, loop_late_s=15.0), LIMITS, 100).live
    worst = attrs.evolve(WELL, lease_lapsed=True, writing_s=math.inf, free_bytes=0, log_held=True, given_up=1000)
    assert judge(worst, LIMITS, 100).live, "a new process would find the same disk"


async def test_a_loop_that_stands_still_is_seen_from_another_thread_with_its_line(tmp_path: Path) -> None:
    release = threading.Event()
    seen: list[tenure.Health] = []

    async def blocks(run: tenure.Run) -> None:
        release.wait(PATIENCE_S)

    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": blocks}) as supervisor:

        def watch() -> None:
            until = time.monotonic() + PATIENCE_S
            while time.monotonic() < until:
                health = supervisor.health()
                if any("blocks in test_health.py" in each.detail for each in health.problems):
                    seen.append(health)
                    break
                time.sleep(0.05)
            release.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            ticket = await (await supervisor.spawn("alice", "kind")).accept(1)
            await ticket.wait_outcome()
        finally:
            await trio.to_thread.run_sync(watcher.join)
        await until(lambda: HealthReason.LOOP_BLOCKED not in reasons(supervisor.health()))

    assert HealthReason.LOOP_BLOCKED in reasons(seen[0])


async def test_a_look_that_waits_for_its_answer_is_no_loop_that_stands_still(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As of a server that is away: the loop runs, and no new process helps."""
    gate = Gate()
    seams = attrs.evolve(tenure.Seams(), reader_executor=lambda: gate)
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}, seams=seams) as supervisor:
        gate.shut()
        found: set[str] = set()
        for _ in range(50):
            found.update(reasons(supervisor.health()))
            await trio.sleep(0.05)
        gate.open()
    assert HealthReason.LOOP_BLOCKED not in found
    assert "has not run for" not in caplog.text


async def test_a_disk_that_does_not_answer_is_a_writer_that_is_stuck(tmp_path: Path) -> None:
    gate = Gate()
    seams = attrs.evolve(tenure.Seams(), writer_executor=lambda: gate, reader_executor=InlineExecutor)
    limits = tenure.Limits(renew_s=0.05, lease_s=30.0)
    async with tenure.open_supervisor(
        tmp_path / "s.db", behaviours={"kind": nothing}, seams=seams, limits=limits
    ) as supervisor:
        gate.shut()
        await until(lambda: HealthReason.WRITER_STUCK in reasons(supervisor.health()))
        assert supervisor.health().live
        gate.open()
        await until(lambda: supervisor.health().ready)
        await until(
            lambda: supervisor.store.statistics().writing_s == 0.0
        )  # between two groups nothing is with the disk


@pytest.mark.sqlite("the disk of a file")
async def test_a_disk_with_too_little_room_is_named_with_both_numbers(tmp_path: Path) -> None:
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}) as supervisor:
        health = supervisor.health(min_free_bytes=2**62)
        for value in (0, *hostile_values().values()):
            try:
                taken: tenure.Health | None = supervisor.health(min_free_bytes=value)
            except InvalidInput:
                taken = None
            assert taken is None or (isinstance(value, int) and value >= 1)

    assert health.live
    (problem,) = (each for each in health.problems if each.reason is HealthReason.DISK_NEARLY_FULL)
    assert f"{2**62} should be" in problem.detail


async def test_a_closed_host_is_neither_live_nor_ready(tmp_path: Path) -> None:
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}) as supervisor:
        pass

    health = supervisor.health()
    assert (health.live, health.ready) == (False, False)
    assert HealthReason.STOPPED in reasons(health)


async def test_steps_that_wait_for_a_thread_are_seen(tmp_path: Path) -> None:
    release = threading.Event()

    async def works(run: tenure.Run) -> None:
        await run.step("hold", release.wait, PATIENCE_S, repeat="freely")

    limits = tenure.Limits(step_threads=1)
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": works}, limits=limits) as supervisor:
        try:
            for name in ("alice", "bob"):
                await (await supervisor.spawn(name, "kind")).accept(1)
            await until(lambda: HealthReason.THREADS_TAKEN in reasons(supervisor.health()))
            (problem,) = (each for each in supervisor.health().problems if each.reason is HealthReason.THREADS_TAKEN)
            assert "longest of all runs 'hold' of runtime 'alice'" in problem.detail
        finally:
            release.set()
        await until(lambda: HealthReason.THREADS_TAKEN not in reasons(supervisor.health()))


async def test_a_step_that_was_given_up_a_moment_ago_hides_no_thread_that_hangs(tmp_path: Path) -> None:
    release, left = threading.Event(), trio.Event()

    async def works(run: tenure.Run) -> None:
        await run.step("hold", release.wait, PATIENCE_S, repeat="freely")

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await left.wait()

    async def leaves(run: tenure.Run) -> None:
        await run.step("leave", stubborn, repeat="freely", timeout_s=0.01)

    once = tenure.RestartPolicy(max_attempts=1)
    behaviours = {"works": works, "leaves": tenure.Behaviour(leaves, restart=once, grace_s=0.01)}
    limits = tenure.Limits(step_threads=1)
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours=behaviours, limits=limits) as supervisor:
        try:
            await (await supervisor.spawn("alice", "works")).accept(1)
            await until(lambda: bool(supervisor.statistics().step_threads))
            await trio.sleep(0.2)
            await (await supervisor.spawn("bob", "leaves")).accept(1)
            await until(lambda: supervisor.statistics().given_up == 1)
            vitals, (longest, youngest) = host_of(supervisor).vitals(), supervisor.statistics().step_threads
            assert (longest.runtime_id, youngest.runtime_id) == ("alice", "bob")
            assert vitals.youngest_step_s is not None
            assert vitals.youngest_step_s >= 0.2
            assert vitals.longest_step == "'hold' of runtime 'alice'"
        finally:
            release.set()
            left.set()


@pytest.mark.process
async def test_a_reader_that_holds_the_log_is_seen_until_it_goes(tmp_path: Path) -> None:
    seams = attrs.evolve(tenure.Seams(), engine=SqliteOptions(wal_pages=10))
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}, seams=seams) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        with running([sys.executable, "-c", READER, tmp_path / "s.db"], stdin=-1) as reader:
            assert reader.stdout is not None
            assert await trio.to_thread.run_sync(reader.stdout.readline) == "holds\n"
            while HealthReason.LOG_HELD not in reasons(supervisor.health()):
                await (await runtime.accept("x" * 10_000)).wait_outcome()
                assert supervisor.statistics().log_pages < 10_000
        while HealthReason.LOG_HELD in reasons(supervisor.health()):
            await (await runtime.accept("x")).wait_outcome()


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - it is the state that is waited for
            await trio.sleep(0.02)
