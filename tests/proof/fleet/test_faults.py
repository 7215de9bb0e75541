"""Faults of a server under a fleet at work: every host goes on by itself, and nothing acknowledged is lost."""

from __future__ import annotations

import pytest

from proof.fleet.faults import FAULTS, Terms, bring
from proof.fleet.server import own_server
from tests.kit import postgres
from tests.kit.shares import share


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.process
def test_hosts_go_on_after_faults_that_take_turns() -> None:
    postgres.needs_own_server()
    told: list[str] = []
    faults = share(FAULTS, 3)
    with own_server() as server:
        assert bring(server, Terms(away_s=2.0, idle_s=1.0), told.append, faults)

    assert len(told) == len(faults) + 1, told
