"""What grows without an end: no count on the way from a failed run to its record overflows."""

from __future__ import annotations

import math
import random

import pytest

import tenure
from tenure.errors import InvalidInput
from tenure.supervisor.runs.recording.restart import decide


@pytest.mark.parametrize("attempts", [0, 63, 64, 1_023, 1_024, 1_025, 100_000, 2**63 - 1])
@pytest.mark.parametrize("backoff_s", [0, 1, 1.0, 1e308, math.inf, 2**1000])
@pytest.mark.parametrize("limit_s", [60.0, 2**1000])
def test_the_wait_after_any_number_of_attempts_is_at_most_its_limit(
    attempts: int, backoff_s: float, limit_s: float
) -> None:
    policy = tenure.RestartPolicy(
        max_attempts=2**64, backoff_s=backoff_s, backoff_limit_s=limit_s, budget=2**64, jitter=0.0
    )

    decision = decide(policy, attempts=attempts, failures="[]", now=0.0, source=random.Random(1))

    assert decision.retry_at is not None
    assert 0 <= decision.retry_at <= limit_s
    assert backoff_s == 0 or decision.retry_at > 0


@pytest.mark.parametrize("field", ["backoff_s", "backoff_limit_s", "period_s"])
def test_seconds_that_are_beyond_every_number_with_a_point_are_refused(field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        tenure.RestartPolicy(**{field: 10**400})
    assert refused.value.field == field


def test_failures_that_were_stored_before_do_not_grow_beyond_the_budget() -> None:
    policy = tenure.RestartPolicy(budget=3)
    failures = "[]"
    for _ in range(10):
        failures = decide(policy, attempts=0, failures=failures, now=1.0, source=random.Random(1)).failures

    assert failures == "[1.0,1.0,1.0]"
