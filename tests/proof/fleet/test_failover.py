"""A fail-over that loses commits, with hosts at work: they stop, no token comes twice, and what is lost is named."""

from __future__ import annotations

import pytest

from proof.fleet.failover import fail_over
from tests.kit import postgres


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.process
def test_what_a_fail_over_loses_is_named_and_no_token_comes_twice() -> None:
    postgres.needs_own_server()

    assert "all named" in fail_over(1)
