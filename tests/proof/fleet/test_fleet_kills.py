"""A few hosts of a fleet go while they work: every input is consumed once, in one serial order a runtime."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from proof.fleet.host import Terms
from proof.fleet.hosts import Began, Fleet
from proof.fleet.kills import Shares, kill_hosts
from proof.fleet.networks import networks, reached_by_hosts
from proof.fleet.server import own_server
from tests.kit import postgres
from tests.kit.shares import TURN

HAS_NETWORKS = os.geteuid() == 0 and shutil.which("ip") is not None


@pytest.mark.slow
@pytest.mark.process
def test_a_few_kills_leave_one_serial_order_for_each_runtime(url: str) -> None:
    found = kill_hosts(url, 2, TURN, lease_s=2.0, renew_s=0.5)

    assert sum(found.counts.values()) == 2
    assert found.receipts >= found.acknowledged


@pytest.mark.slow
@pytest.mark.process
def test_hosts_drain_and_are_deployed_while_their_clocks_jump(url: str) -> None:
    shares = Shares(frozen=0.0, drained=0.5, deployed=0.5)
    found = kill_hosts(url, 2, TURN, lease_s=2.0, renew_s=0.5, shares=shares, clocks_s=3_600.0)

    assert set(found.counts) <= {"drained", "deploys"}
    assert found.receipts >= found.acknowledged


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.postgres
@pytest.mark.skipif(not HAS_NETWORKS, reason="a network namespace needs root and iproute2")
def test_a_host_whose_cable_is_pulled_is_judged_and_begins_nothing_that_is_anothers() -> None:
    postgres.needs_own_server()
    with reached_by_hosts() as settings, own_server(None, **settings) as server, networks() as cables:
        shares = Shares(frozen=0.0, cut=1.0)
        found = kill_hosts(server.url, 1, TURN, lease_s=2.0, renew_s=0.5, shares=shares, cables=cables)

    assert found.counts == {"cut off and back": 1}
    assert found.receipts >= found.acknowledged


def test_a_step_that_begins_under_a_token_that_has_passed_is_seen(tmp_path: Path) -> None:
    made = Fleet("", tmp_path, Terms(lease_s=1.0, renew_s=1.0, runtimes=1))
    made.began += [
        Began("a", "k/1", 5, 1.0, "h0"),
        Began("a", "k/1", 7, 3.0, "h1"),
        Began("a", "k/2", 7, 4.0, "h1"),
        Began("b", "k/1", 4, 5.0, "h0"),
        Began("a", "k/1", 5, 2.0, "h0"),
    ]
    assert made.stale_steps() == []

    late = Began("a", "k/1", 5, 3.5, "h0")
    made.began.append(late)
    assert made.stale_steps() == [late]
