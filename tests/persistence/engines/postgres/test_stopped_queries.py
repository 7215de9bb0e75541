"""A query of a user ends when it is told to, in whichever moment it is told."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from tenure.persistence.engines.engine import QueryStopped
from tenure.persistence.engines.postgres import user_queries
from tenure.persistence.engines.postgres.protocol.patience import PatientConnection
from tenure.persistence.engines.postgres.user_queries import run_query

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.mark.parametrize("looks", range(6))
def test_a_query_that_is_stopped_ends_whenever_that_is_said(url: str, looks: int) -> None:
    """Before it begins, while it is prepared, and while it runs."""
    left = looks

    def stopped() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    began = time.monotonic()
    with closing(PatientConnection.connect(url, autocommit=True)) as connection:
        with pytest.raises(QueryStopped):
            run_query(connection, ENDLESS, (), 10, stopped)

        assert run_query(connection, "SELECT 1", (), 10, lambda: False) == [(1,)]
    assert time.monotonic() - began < user_queries.SILENCE_S / 2


def test_a_wish_to_stop_that_the_server_forgot_is_said_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[float] = []
    looks = iter(range(1_000))

    cancel = PatientConnection.cancel_safe

    def deaf(connection: PatientConnection, *, timeout: float = 30.0) -> None:
        said.append(timeout)
        if len(said) > 1:
            cancel(connection, timeout=timeout)

    monkeypatch.setattr(PatientConnection, "cancel_safe", deaf)
    monkeypatch.setattr(user_queries, "CANCEL_AGAIN_S", 0.05)
    with closing(PatientConnection.connect(url, autocommit=True)) as connection, pytest.raises(QueryStopped):
        run_query(connection, ENDLESS, (), 10, lambda: next(looks) > 20)

    assert len(said) > 1
