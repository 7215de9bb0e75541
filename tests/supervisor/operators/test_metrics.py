"""Metrics: the text that a scrape reads, in all three fronts and from outside, as a parser of Prometheus reads it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import prometheus_client
import pytest
import trio
from attrs import evolve
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

import tenure
import tenure.asyncio
import tenure.sync
from tenure.cli.app import app
from tenure.errors import Closed, NoThread
from tenure.persistence.seams.executors import InlineExecutor
from tenure.prometheus import Collector
from tenure.supervisor.metrics import READ_S
from tenure.supervisor.operators.exposition import exposition
from tenure.supervisor.operators.measures import MOST_CHANNELS, OTHER, Measures
from tests.kit.hosting import SELDOM, host, nothing, virtual_seams
from tests.persistence.contracts.damage import execute

ALLOWED = {"kind", "outcome", "reason", "channel", "le"}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    families = list(text_string_to_metric_families(text))
    assert len(families) == len({each.name for each in families})
    found: Samples = {}
    for family in families:
        assert family.name.startswith("tenure_")
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            assert set(sample.labels) <= ALLOWED, sample
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, sample
            found[key] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def work(run: tenure.Run) -> None:
    if run.inputs[0].payload == "bad":
        raise ValueError("bad")
    await run.step("look", lambda: 1, repeat="freely")
    await run.emit("word", channel="words")


BEHAVIOURS = {"kind": tenure.Behaviour(work, restart=tenure.RestartPolicy(max_attempts=2, backoff_s=0.0, jitter=0.0))}


@pytest.mark.sqlite("the size of a file")
async def test_what_a_host_has_done_is_in_the_text_that_a_scrape_reads(autojump_clock: object, tmp_path: Path) -> None:
    async with host(tmp_path / "s.db", BEHAVIOURS) as supervisor:
        metrics = supervisor.metrics()
        assert supervisor.metrics() is metrics
        alice = await supervisor.spawn("alice", "kind")
        for payload in ("good", "good", "bad"):
            await (await alice.accept(payload)).wait_outcome()
        await supervisor.hold("alice")
        await alice.accept("waits")
        await trio.sleep(30)
        samples = parsed(metrics.text())
        statistics = supervisor.statistics()

    def of_kind(name: str, **labels: str) -> float:
        return value(samples, name, kind="kind", **labels)

    assert of_kind("tenure_accept_seconds_count", outcome="accepted") == 4
    assert of_kind("tenure_run_seconds_count", outcome="finished") == 2
    assert of_kind("tenure_run_seconds_count", outcome="retried") == 1
    assert of_kind("tenure_run_seconds_count", outcome="failed") == 1
    assert of_kind("tenure_run_restarts_total") == 1
    assert of_kind("tenure_step_seconds_count", outcome="succeeded") == 2
    assert of_kind("tenure_inbox_wait_seconds_count") == 3
    assert of_kind("tenure_runtimes") == 1
    assert of_kind("tenure_running") == 0
    assert value(samples, "tenure_dead_letters_total", reason="max_attempts_exhausted") == 1
    assert value(samples, "tenure_output_entries_total", channel="words") == 2
    assert value(samples, "tenure_output_lag_seconds_count") == 2
    assert value(samples, "tenure_commits_total") == statistics.commits
    assert value(samples, "tenure_groups_total") == statistics.groups
    assert 0 < value(samples, "tenure_fsync_seconds_count") == value(samples, "tenure_group_commits_count")
    assert value(samples, "tenure_inbox_inputs") == 1
    assert value(samples, "tenure_inbox_oldest_age_seconds") >= 30
    assert value(samples, "tenure_hosts") == 1
    assert value(samples, "tenure_live") == value(samples, "tenure_ready") == 1
    assert value(samples, "tenure_health_problem", reason="loop blocked") == 0
    assert value(samples, "tenure_store_bytes") > 0
    assert "alice" not in metrics.text()


async def test_a_histogram_adds_up(autojump_clock: object, tmp_path: Path) -> None:
    async with host(tmp_path / "s.db", BEHAVIOURS) as supervisor:
        supervisor.metrics()
        alice = await supervisor.spawn("alice", "kind")
        await (await alice.accept("good")).wait_outcome()
        families = {each.name: each for each in supervisor.metrics().read() if each.kind == "histogram"}

    assert len(families) == 8
    for family in families.values():
        for each in family.values.values():
            assert isinstance(each, tenure.Distribution)
            counts = [count for _, count in each.buckets]
            assert counts == sorted(counts)
            assert each.buckets[-1][0] == float("inf")


async def test_prometheus_client_collects_the_same(autojump_clock: object, tmp_path: Path) -> None:
    async with host(tmp_path / "s.db", BEHAVIOURS) as supervisor:
        registry = prometheus_client.CollectorRegistry()
        registry.register(Collector(supervisor))
        alice = await supervisor.spawn("alice", "kind")
        await (await alice.accept("bad")).wait_outcome()
        theirs = parsed(prometheus_client.generate_latest(registry).decode())
        ours = parsed(supervisor.metrics().text())

    # What goes by a clock moves on between the two.
    moving = ("tenure_lease_age_seconds", "tenure_free_bytes", "tenure_store_read_age_seconds")
    assert {key: each for key, each in theirs.items() if key[0] not in moving} == {
        key: each for key, each in ours.items() if key[0] not in moving
    }


async def echo_of_asyncio(run: tenure.Run) -> None:
    pass


def test_the_fronts_have_the_same_metrics_from_any_thread(tmp_path: Path) -> None:
    def finished(collector: Collector) -> float:
        """The runs that have finished, once it is one: a ticket has its outcome a moment before its run is left."""
        found: list[float] = []

        def scrape() -> None:
            registry = prometheus_client.CollectorRegistry()
            registry.register(collector)
            key = "tenure_run_seconds_count", frozenset({("kind", "kind"), ("outcome", "finished")})
            while not found:
                samples = parsed(prometheus_client.generate_latest(registry).decode())
                found.extend([samples[key]] if key in samples else [])

        thread = threading.Thread(target=scrape)
        thread.start()
        thread.join()
        return found[0]

    async def of_asyncio() -> float:
        async with tenure.asyncio.open_supervisor(
            tmp_path / "a.db", behaviours={"kind": echo_of_asyncio}
        ) as supervisor:
            collector = Collector(supervisor)
            alice = await supervisor.spawn("alice", "kind")
            await (await alice.accept("hello")).wait_outcome()
            return await asyncio.to_thread(finished, collector)

    with tenure.sync.open_supervisor(tmp_path / "s.db", behaviours={"kind": echo_of_asyncio}) as supervisor:
        collector = Collector(supervisor)
        (supervisor.spawn("alice", "kind")).accept("hello").wait_outcome()
        assert finished(collector) == 1
    assert asyncio.run(of_asyncio()) == 1
    assert finished(collector) == 1  # also of one that is closed


def test_a_host_that_is_closed_begins_no_metrics(tmp_path: Path) -> None:
    with tenure.sync.open_supervisor(tmp_path / "s.db", behaviours={}) as supervisor:
        pass

    with pytest.raises(Closed):
        supervisor.metrics()


def test_a_kind_of_any_text_is_one_label_that_parses(tmp_path: Path) -> None:
    kinds = ['say "hi"\\', "two\nlines", "\x1b[31mred", "día", "a,b={}"]
    measures = Measures()
    for kind in kinds:
        measures(tenure.RuntimeHeld(runtime_id=tenure.LogicalRuntimeId("x"), kind=kind, reason="r"))

    text = exposition(measures.read())

    labels = [dict(found)["kind"] for name, found in parsed(text) if name == "tenure_holds_total"]
    assert len(set(labels)) == len(kinds)
    assert {'say "hi"\\', "día", "a,b={}"} <= set(labels)
    assert "\x1b" not in text


def test_channels_beyond_the_bound_share_one_label() -> None:
    measures = Measures()
    channels = tuple([f"channel {number}" for number in range(MOST_CHANNELS + 7)])
    for _ in range(2):
        measures(tenure.OutputLanded(runtime_id=tenure.LogicalRuntimeId("x"), channels=channels, lag_s=0.1))

    samples = parsed(exposition(measures.read()))

    assert value(samples, "tenure_output_entries_total", channel=OTHER) == 14
    assert value(samples, "tenure_output_entries_total", channel="channel 3") == 2


@pytest.mark.sqlite("the size of a file")
async def test_the_command_reads_a_store_from_outside(tmp_path: Path) -> None:
    async def fails(run: tenure.Run) -> None:
        raise ValueError("no")

    behaviours = {"kind": tenure.Behaviour(fails, restart=tenure.RestartPolicy(budget=1))}
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours=behaviours, drain_s=0) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await alice.accept("hello")
        await alice.wait_held()
        result = await trio.to_thread.run_sync(command, tmp_path / "s.db")
        as_json = await trio.to_thread.run_sync(command, tmp_path / "s.db", "--json")

    samples = parsed(result.stdout)
    assert value(samples, "tenure_hosts") == 1
    assert value(samples, "tenure_inbox_inputs") == 1
    assert value(samples, "tenure_store_held_runtimes", kind="kind", reason="budget used up") == 1
    assert value(samples, "tenure_store_bytes") > 0
    assert value(samples, "tenure_log_bytes") > 0
    held = [each for each in json.loads(as_json.stdout) if each["name"] == "tenure_store_held_runtimes"]
    assert held == [
        {"name": "tenure_store_held_runtimes", "labels": {"kind": "kind", "reason": "budget used up"}, "value": 1}
    ]


def command(*arguments: object) -> Any:
    result = CliRunner().invoke(app, ["metrics", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


@final
class Refusing:
    """Gets no thread while it is asked to refuse."""

    refuses = False

    async def run(self, function: Callable[[], Any], heard: Callable[[Any], None] | None = None, /) -> Any:
        if Refusing.refuses:
            raise NoThread(what="a reader")
        return await InlineExecutor().run(function, heard)

    def close(self) -> None:
        """Nothing to close."""


async def test_what_is_stored_is_read_again_after_a_time_in_which_there_was_no_thread_to_read_with(
    autojump_clock: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seams = evolve(virtual_seams(), reader_executor=Refusing)
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={}, seams=seams, limits=SELDOM) as supervisor:
        Refusing.refuses = True
        samples = [parsed(supervisor.metrics().text())]
        for refuses in (True, False):
            Refusing.refuses = refuses
            await trio.sleep(2 * READ_S)
            samples.append(parsed(supervisor.metrics().text()))

    assert [("tenure_hosts", frozenset[Any]()) in each for each in samples] == [False, False, True]
    ages = [value(each, "tenure_store_read_age_seconds") for each in samples]
    assert 0 <= ages[0] < ages[1]  # an alert on it hears of it
    assert not caplog.records


async def test_a_read_that_fails_for_another_cause_is_in_the_log_and_ends_nothing(
    autojump_clock: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with host(tmp_path / "s.db", {"kind": nothing}) as supervisor:
        supervisor.metrics()
        await trio.sleep(READ_S)
        await execute(supervisor.store, "ALTER TABLE inputs RENAME COLUMN due_at TO put_away")
        await trio.sleep(2 * READ_S)
        await execute(supervisor.store, "ALTER TABLE inputs RENAME COLUMN put_away TO due_at")
        failed = [each.message for each in caplog.records if "inputs.backlog" in each.message]
        await supervisor.hold("alice")
        await (await supervisor.spawn("alice", "kind")).accept("waits")
        await trio.sleep(2 * READ_S)
        samples = parsed(supervisor.metrics().text())

    assert len(failed) == 1
    assert value(samples, "tenure_inbox_inputs") == 1


def test_without_metrics_nothing_of_them_is_imported() -> None:
    program = """
import sys, trio, tenure, tenure.asyncio, tenure.sync

async def main():
    async with tenure.open_supervisor(":memory:", behaviours={"kind": work}) as supervisor:
        await (await (await supervisor.spawn("a", "kind")).accept(1)).wait_outcome()

async def work(run):
    pass

trio.run(main)
print([name for name in sys.modules if name.partition(".")[0] in ("prometheus_client", "opentelemetry")])
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"
