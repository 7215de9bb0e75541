"""Attachments in the tables of a store, below the facet."""

from __future__ import annotations

from collections.abc import Generator

import psycopg
import pytest

from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.choice import door_to
from tenure.persistence.seams.limits import Limits

PARTS = (bytes(40_000), b"x" * 40_000)
WHOLE = b"".join(PARTS)


@pytest.fixture
def blobs(url: str) -> Generator[Blobs]:
    door = door_to(url, Limits(busy_s=5))
    engine = door.engine(door.strongest)
    yield engine.blobs
    engine.close()


def keep(blobs: Blobs) -> None:
    blobs.begin("m")
    blobs.write("m", 0, PARTS[0])
    blobs.write("m", len(PARTS[0]), PARTS[1])
    blobs.keep("m", "d")


@pytest.mark.parametrize(
    ("offset", "amount"), [(20_000, 20_000), (39_999, 2), (0, 80_000), (80_000, 10), (2**31 - 1, 10), (2**31, 2**31)]
)
def test_any_part_is_read(blobs: Blobs, offset: int, amount: int) -> None:
    keep(blobs)
    assert blobs.read("d", offset, amount) == WHOLE[offset : offset + amount]


def test_a_connection_that_is_cut_between_two_calls_is_made_anew(blobs: Blobs, url: str) -> None:
    def cut() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'tenure'"
            )

    blobs.begin("m")
    cut()
    blobs.write("m", 0, PARTS[0])
    cut()
    blobs.write("m", len(PARTS[0]), PARTS[1])
    cut()
    blobs.keep("m", "d")
    cut()
    assert blobs.read("d", 0, len(WHOLE)) == WHOLE
    cut()
    blobs.remove("d")
    assert not blobs.exists("d")
