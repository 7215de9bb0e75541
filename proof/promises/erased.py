"""What was erased: nothing of it comes back, and what was begun is not forgotten."""

from __future__ import annotations

from typing import Final

from proof.stories.words import Words, id_of
from tenure.persistence.facets.erasing import erasing
from tenure.persistence.facets.erasing.erasing import Stage
from tenure.persistence.facets.ownership import lifecycle
from tenure.persistence.model.values import AbandonReason, RuntimeState

from .facet import FacetProof, Promised, Rows
from .pruned import erased_runtimes


async def erase_a_life(words: Words) -> None:
    """A runtime with a run, messages, state and a key is destroyed, and erased in the same commit; another one later."""
    for name in ("era", "mia"):
        await words.own(name)
        await words.accept(name, "to be erased", key="k-erased")
        run_id = await words.begin(name)
        await words.step(name, run_id, "look", "main/1", result=b'"seen"')
        await words.finish(name, run_id)
        destroy = lifecycle.WriteLifecycle(
            runtime_id=id_of(name), state=RuntimeState.DESTROYED, abandon=AbandonReason.DESTROYED, end_run=True
        )
        await words.write(destroy, *((erasing.BeginErasure(runtime_id=id_of(name)),) if name == "mia" else ()))
        await words.retried(words.store.erase, name)


OF_RUNTIME: Final = (
    "inputs",
    "runs",
    "receipts",
    "links",
    "sessions",
    "own_states",
    "own_values",
    "own_writes",
    "streams",
)
"""Tables that name the runtime itself; another test goes over every column."""


def begun(change: erasing.BeginErasure, _answer: object) -> Promised:
    """It goes on to its end."""
    return [("erasing", change.runtime_id)]


def moved(change: erasing.MoveErasure, _answer: object) -> Promised:
    """Its rows are gone."""
    return [("erased", change.runtime_id)]


def check_erased(rows: Rows) -> None:
    """What is begun is known, and from its second stage on no row is left."""
    found = erased_runtimes(rows)
    for runtime_id in rows.history.acknowledged("erasing"):
        assert runtime_id in found, f"the erasure of {runtime_id} is forgotten"
    for runtime_id in rows.history.acknowledged("erased"):
        stored = erasing.find(rows.statements, runtime_id)
        assert stored is not None, f"the erasure of {runtime_id} is forgotten"
        assert stored.stage is not Stage.ROWS, f"the erasure of {runtime_id} begins anew"
    for table in OF_RUNTIME:
        rows.none(
            f"SELECT runtime FROM {table} JOIN erasures USING (runtime) WHERE stage > 0",  # noqa: S608 - our own names
            f"{table} of a runtime that was erased",
        )


PROOFS: Final = (
    FacetProof(
        name="erasing",
        story=erase_a_life,
        promises={erasing.BeginErasure: begun, erasing.MoveErasure: moved},
        check=check_erased,
        quiet=(erasing.BeginErasure, erasing.ErasePage),
    ),
)
