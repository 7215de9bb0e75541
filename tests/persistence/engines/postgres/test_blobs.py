"""Attachments in the tables of a store, below the facet."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import trio

import tenure
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.choice import door_to
from tenure.persistence.facets.attachments.attachments import BeginRemoval
from tenure.persistence.seams.limits import Limits
from tests.kit import postgres
from tests.kit.clocks import Clock
from tests.kit.hosting import Gate

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


async def test_a_removal_by_a_host_that_stood_still_for_a_lease_is_in_the_way_of_no_writer(url: str) -> None:
    gate, clock = Gate(), Clock()
    seams = tenure.Seams(boot_clock=clock)
    async with (
        tenure.open_store(url, seams=tenure.Seams(writer_executor=lambda: gate)) as frozen,
        tenure.open_store(url, seams=seams) as store,
    ):
        began, removed = clock.now, await store.attachments.id_of(b"report")
        await frozen.commit(Commit(changes=(BeginRemoval(attachment_id=removed),)))
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.attachments.put, "s", b"report")
            with trio.fail_after(30):
                while nursery.child_tasks:
                    clock.now += 1.0
                    await trio.sleep(0.1)
        gate.open()

        assert clock.now - began > tenure.Limits().lease_s, "not before"
        assert await store.attachments.get("s", removed) == b"report"
