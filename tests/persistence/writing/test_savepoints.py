"""A group is tried without savepoints first; what its commits come to does not depend on that."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import apsw
import pytest
from attrs import evolve, frozen

from tenure.errors import CounterOverflow, Error, InvalidTransition
from tenure.persistence.commits.commit import (
    Change,
    Commit,
    CommitResult,
)
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.queue.queue import EnqueueBatch
from tenure.persistence.facets.runs.runs import FinishRun
from tenure.persistence.model.contracts.queued_work import encode_batch
from tenure.persistence.model.values import RunId
from tenure.persistence.opening import open_store
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tests.kit.ground import submit
from tests.kit.statements import hear_statements
from tests.kit.stores import (
    OpenMode,
    landed,
    message,
    name,
    own,
    refused,
    settle_all,
)
from tests.persistence.contracts.queued.test_queue import draft

TABLES = ("runtimes", "sessions", "nodes", "inputs", "payloads", "links", "store")


@frozen(kw_only=True, slots=True)
class NobodyKnowsThis(Change):
    ingress = True


def say(fence_token: int, text: bytes, runtime_id: str = "a", *more: Change) -> Commit:
    change = AppendMessages(runtime_id=name(runtime_id), messages=(text,))
    return Commit(runtime_id=name(runtime_id), fence_token=fence_token, changes=(change, *more))


def spoiled(fence_token: int, runtime_id: str = "a") -> Commit:
    """A commit that writes first and is refused then: what it wrote must be undone, alone."""
    return say(fence_token, b"never", runtime_id, FinishRun(runtime_id=name(runtime_id), run_id=RunId("none")))


@pytest.fixture
def executed() -> list[str]:
    return []


def trace(store: Store, executed: list[str]) -> None:
    opened: Any = vars(store)["_opened"]
    writer: object = opened.connection
    db: apsw.Connection = vars(writer)["_db"]
    hear_statements(db, lambda sql: executed.append(sql.split(maxsplit=1)[0]))


@pytest.mark.sqlite("traces what SQLite executes")
async def test_a_refusal_before_any_write_needs_no_savepoint(store: Store, executed: list[str]) -> None:
    token = await own(store)
    trace(store, executed)

    outcomes = await settle_all([submit(store, each) for each in (message(store, "m"), refused(), say(token, b"hi"))])

    assert [isinstance(each, CommitResult) for each in outcomes] == [True, False, True]
    assert executed.count("BEGIN") == 1
    assert "SAVEPOINT" not in executed


@pytest.mark.sqlite("traces what SQLite executes")
async def test_a_commit_refused_behind_a_write_has_its_group_carried_out_in_savepoints(
    store: Store, executed: list[str]
) -> None:
    token = await own(store)
    trace(store, executed)

    outcomes = await settle_all(
        [submit(store, each) for each in (message(store, "m"), spoiled(token), say(token, b"hi"))]
    )

    assert [isinstance(each, CommitResult) for each in outcomes] == [True, False, True]
    assert isinstance(outcomes[1], InvalidTransition)
    assert executed.count("BEGIN") == 2
    assert executed.count("SAVEPOINT") == 3
    assert await landed(store, "m") == ["m"]


@pytest.mark.sqlite("traces what SQLite executes")
@pytest.mark.parametrize(("commits", "written_by"), [(64, 3), (8, 17)], ids=["kept", "one by one"])
async def test_rows_of_a_large_group_are_written_many_by_one_statement(
    store: Store, executed: list[str], commits: int, written_by: int
) -> None:
    tokens = {str(number): await own(store, str(number)) for number in range(commits)}
    await settle_all(
        [submit(store, say(token, b"hello", each)) for each, token in tokens.items()]
    )  # loads what it needs
    trace(store, executed)

    outcomes = await settle_all([submit(store, say(token, b"again", each)) for each, token in tokens.items()])
    statements = [each for each in executed if each in {"INSERT", "UPDATE"}]

    assert all(isinstance(each, CommitResult) for each in outcomes)
    assert len(statements) == written_by, "the host's own row, a node and a session of each"


async def carry_out(store: Store, seed: int, *, spoil: bool) -> tuple[list[object], list[object]]:
    """The answers to groups drawn from a seed, and the rows that they left.

    With `spoil` a commit that is refused behind a write goes before each group, so that all of it is carried out in savepoints.
    """
    draw = random.Random(seed)
    tokens = {each: await own(store, each) for each in "abc"}
    answers: list[object] = []
    for group in range(20):
        commits = [spoiled(tokens["a"])] if spoil else []
        for _ in range(draw.randint(1, 12)):
            who = draw.choice("abc")
            choices = [
                message(store, str(draw.randint(0, 30)), who),
                say(tokens[who], b"%d" % group, who),
                say(tokens[who] + 1, b"stale", who),
                Commit(changes=(NobodyKnowsThis(),)),
                spoiled(tokens[who], who),
            ]
            (commit,) = draw.choices(choices, weights=(4, 4, 1, 1, 0.2))
            commits.append(commit)
        settled = await settle_all([submit(store, commit) for commit in commits])
        answers += [str(each) if isinstance(each, Error) else each for each in settled[spoil:]]
    async with store.read_connection() as connection:
        return answers, [await connection.query(f"SELECT * FROM {table}") for table in TABLES]


SHAPES = ((False, 1_000), (True, 1_000), (False, 1), (True, 1))
"""Whether a group is carried out in savepoints, and from how many commits on rows are kept."""


@pytest.mark.sqlite("keys that are counted without gaps")
@pytest.mark.parametrize("seed", range(6))
async def test_a_group_answers_and_writes_the_same_in_every_shape(tmp_path: Path, seed: int) -> None:
    seen: list[tuple[list[object], list[object]]] = []
    for spoil, keep_from in SHAPES:
        options = SqliteOptions(keep_from=keep_from)
        seams = Seams(wall_clock=lambda: 1.0, random=random.Random(seed), engine=options)
        async with open_store(tmp_path / f"{spoil} {keep_from}.db", seams=seams) as store:
            seen.append(await carry_out(store, seed, spoil=spoil))

    assert all(each == seen[0] for each in seen)


@pytest.mark.sqlite("rows that it keeps")
async def test_a_row_that_cannot_be_written_with_others_has_its_commit_refused_alone(
    open_file: OpenMode, executed: list[str]
) -> None:
    async with open_file(keep_from=1) as store:
        tokens = {each: await own(store, each) for each in "ac"}
        trace(store, executed)
        batch = encode_batch(draft("s"))
        too_late = EnqueueBatch(batch=evolve(batch, draft=evolve(batch.draft, available_at_ms=2**63)))
        commits = [say(tokens["a"], b"first"), Commit(changes=(too_late,)), say(tokens["c"], b"last", "c")]
        outcomes = await settle_all([submit(store, each) for each in commits])
        begun, saved = executed.count("BEGIN"), executed.count("SAVEPOINT")

    assert [isinstance(each, CommitResult) for each in outcomes] == [True, False, True]
    assert isinstance(outcomes[1], CounterOverflow)
    assert (begun, saved) == (2, 3)
