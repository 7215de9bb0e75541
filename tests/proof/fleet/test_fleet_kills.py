"""A few hosts of a fleet, killed while they work: every input is consumed once, in one serial order a runtime."""

from __future__ import annotations

import pytest

from proof.fleet.kills import kill_hosts
from tests.kit.shares import TURN


@pytest.mark.slow
@pytest.mark.process
def test_a_few_kills_leave_one_serial_order_for_each_runtime(url: str) -> None:
    found = kill_hosts(url, 2, TURN, lease_s=2.0, renew_s=0.5)

    assert found.killed + found.frozen == 2
    assert found.receipts >= found.acknowledged
