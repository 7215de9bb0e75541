"""Attachments in the tables of a store, below the facet."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.choice import door_to
from tenure.persistence.seams.limits import Limits
from tests.kit import postgres

PARTS = (bytes(40_000), b"x" * 40_000)
WHOLE = b"".join(PARTS)


@pytest.fixture
def blobs(url: str) -> Generator[Blobs]:
    door = door_to(url, Limits(busy_s=5))
    engine = door.engine(None)
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
    blobs.begin("m")
    postgres.end_sessions(url)
    blobs.write("m", 0, PARTS[0])
    postgres.end_sessions(url)
    blobs.write("m", len(PARTS[0]), PARTS[1])
    postgres.end_sessions(url)
    blobs.keep("m", "d")
    postgres.end_sessions(url)
    assert blobs.read("d", 0, len(WHOLE)) == WHOLE
    postgres.end_sessions(url)
    blobs.remove("d")
    assert not blobs.exists("d")
