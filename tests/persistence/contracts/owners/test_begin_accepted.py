"""The begin of a run in one commit with the accept of its input, which does not ask for what is known: as one that asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

import tenure
from tenure import InputId, RunId, Store
from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.inbox import inputs
from tenure.persistence.facets.runs import runs
from tenure.persistence.model.codec import digest
from tenure.persistence.model.inputs.delay import Delay
from tenure.persistence.model.values import InputKind, Lane
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.owners.owned import Owner

COLUMNS: Final = {
    "inputs": (
        "input, input_id, admission, lane, phase, reason, run, joined, boundary, attempts, error, fitted, deadline, due_at, "
        "extra, updated_at, finished_at, history, payload_digest"
    ),
    **dict.fromkeys(("payloads", "runs", "runtimes"), "*"),
}
PAYLOAD: Final = b'"work"'

Before = Callable[[Owner], Awaitable[object]]


async def nothing(_: Owner) -> None:
    """The inbox is empty."""


async def one_waits(owner: Owner) -> None:
    await owner.accept("first")


async def one_steers(owner: Owner) -> None:
    await owner.accept("first", lane=Lane.STEER)


async def one_is_delayed(owner: Owner) -> None:
    await owner.accept("first", delay=Delay(after_s=50.0))


async def a_run_is_interrupted(owner: Owner) -> None:
    await owner.accept("first")
    await owner.begin("before")


async def a_run_has_ended(owner: Owner) -> None:
    await owner.accept("first")
    await owner.begin("before")
    await owner.write(owner.receipt("before"), owner.finish("before"))


def accept(owner: Owner, **terms: Any) -> inputs.AcceptInput:
    known: dict[str, Any] = {"payload": PAYLOAD, "payload_digest": digest(PAYLOAD)}
    return inputs.AcceptInput(runtime_id=owner.runtime_id, input_id=InputId("new"), **{**known, **terms})


async def answered(store: Store, before: Before, terms: dict[str, Any], batch: int, *, known: bool) -> Any:
    """The answer to the begin, with the rows, of a store where it knows of the accept or does not."""
    owner = Owner(store, "r")
    await owner.own()
    await before(owner)
    accepting = accept(owner, **terms)
    begin = runs.BeginRun(
        runtime_id=owner.runtime_id, run_id=RunId("new"), batch=batch, accepted=accepting.input_id if known else None
    )
    changes: tuple[Change, ...] = (accepting, begin)
    answers = await owner.write(*changes)
    async with store.read_connection() as connection:
        rows = [await connection.query(f"SELECT {named} FROM {table} ORDER BY 1") for table, named in COLUMNS.items()]
    return answers, rows


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"idempotency_key": "k", "fitted": "1", "kind": InputKind.PROMPT},
        {"lane": Lane.STEER},
        {"bound_by_inbox": False},
        {"correlation_id": "c"},
        {"deadline_s": 30.0},
        {"deadline_s": 0.0},
        {"delay": Delay(after_s=50.0)},
        {"payload_digest": digest(b"another")},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "before", [nothing, one_waits, one_steers, one_is_delayed, a_run_is_interrupted, a_run_has_ended]
)
async def test_a_begin_that_knows_of_its_accept_answers_and_writes_what_one_that_asks_does(
    before: Before, terms: dict[str, Any], batch: int
) -> None:
    found: list[Any] = []
    async with AsyncExitStack() as stack:
        for known in (True, False):
            store = await stack.enter_async_context(
                open_seen_store(":memory:", seams=tenure.Seams(wall_clock=lambda: 1_700_000_000.0))
            )
            found.append(await answered(store, before, terms, batch, known=known))

    assert found[0] == found[1]
