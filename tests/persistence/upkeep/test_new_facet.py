"""A facet that is new is verified, pruned and shown by what it brings, and upkeep names no facet."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import attrs
import pytest

from tenure import LogicalRuntimeId, open_store
from tenure.errors import NotFound
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Problem, Pruning, Subject, Walk, counted
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.catalog import FACETS
from tenure.persistence.facets.prunable import Pruned
from tenure.persistence.facets.state.values import SweepExpired
from tenure.persistence.model.lifecycles.retention import Ages, asked_for
from tenure.persistence.upkeep.inspect import show_runtime
from tenure.persistence.upkeep.prune import prune
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.architecture.tree import ROOT, imports, python_files, within
from tests.persistence.contracts.owners.owned import Owner

CROSSING = {
    "persistence/upkeep/verify.py": {
        *("inbox", "prunable", "records.chain", "records.runtimes"),
        *("erasing", "erasing.erasing"),
    },
    "persistence/upkeep/inspect.py": {"records"},
    "persistence/upkeep/verify_store.py": {"attachments.attachments", "attachments.verify"},
    "persistence/upkeep/listing.py": {"ownership.draining", "runs"},
    "persistence/upkeep/one_runtime/why.py": {"inbox", "records", "runs", "runs.again"},
    "persistence/upkeep/one_runtime/sentences.py": {"records.asides"},
    "persistence/upkeep/record.py": {"runs.again"},
}
"""One question that several facets answer together: the chain of a runtime with its inputs; an input with its result; why a
runtime does not go on; the runs that a run goes on after; whether it was erased; which runtimes have
the labels that are asked for, and which hosts could take one; whether bytes beside the store are what its rows say."""

TOY = "toy"


def _page(_statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    # Two pages, so that the walk is seen to go on.
    return (after + count if after < count else None), [(TOY, str(after), "it is a toy")]


def _check(_statements: Statements, subject: Subject) -> Iterator[Problem]:
    yield TOY, subject.runtime_id, "it is broken"


def _show(_statements: Statements, subject: Subject) -> dict[str, str]:
    return {"of": subject.runtime_id}


def _look(_statements: Statements, after: int, _count: int, _ages: Ages) -> tuple[int, ...]:
    return tuple(range(after + 1, min(after + 3, 6)))


NEW = Facet(
    name=TOY,
    handlers={},
    part=TOY,
    verify=(Walk(page=_page, start=0),),
    verify_runtime=_check,
    show={TOY: _show},
    prune=(
        Pruning(
            counts=(TOY,),
            look=_look,
            change=lambda _keys, _ages: SweepExpired(count=1),
            page=lambda keys, _answer: counted(TOY)(keys, len(keys)),
        ),
    ),
)


async def test_a_facet_that_is_registered_is_verified_pruned_and_shown() -> None:
    facets = (*FACETS, NEW)
    async with open_store(":memory:") as store:
        await Owner(store, "alice").own()
        alice = LogicalRuntimeId("alice")
        runtime = await store.read(partial(verify_runtime, runtime_id=alice, facets=facets))
        parts = {each.part: each.problems for each in await verify_parts(store, facets)}
        shown = await store.read(partial(show_runtime, runtime_id=alice, facets=facets))
        pruned = await prune(store, asked_for(0.0, 0.0, dead_letters=False), facets)

    assert [(each.record, each.key) for each in runtime.problems] == [(TOY, "alice")]
    assert [each.key for each in parts[TOY]] == ["0", "200"]
    assert shown[TOY] == {"of": "alice"}
    assert pruned[TOY] == 5


async def test_a_runtime_that_is_not_there_is_shown_by_no_facet() -> None:
    async with open_store(":memory:") as store:
        with pytest.raises(NotFound):
            await store.read(partial(show_runtime, runtime_id=LogicalRuntimeId("bob"), facets=(NEW,)))


def test_what_facets_prune_is_what_the_answer_of_prune_can_say() -> None:
    counted_names = {name for facet in FACETS for each in facet.prune for name in each.counts}

    assert counted_names == {each.name for each in attrs.fields(Pruned)}


def _named(path: Path) -> set[str]:
    base = "tenure.persistence.facets"
    found = {
        used.source if used.source != base else used.target
        for used in imports(path, (ROOT / path).read_text(encoding="utf-8"))
        if within(used.source, base)
    }
    return {each.removeprefix(f"{base}.") for each in found} - {"catalog"}


@pytest.mark.parametrize("path", python_files("persistence/upkeep"), ids=str)
def test_upkeep_names_no_facet_one_by_one(path: Path) -> None:
    assert _named(path) <= CROSSING.get(path.as_posix(), set())
