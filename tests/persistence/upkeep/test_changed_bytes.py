"""`verify` finds a change of any stored byte, but for a list of columns, each with its reason.

The test walks the schema: a table or a column that is added is in it, and must be found or be given a reason here.
``TENURE_SHARES=whole`` changes every row, each turn one row of every second column.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from tenure import Store
from tenure.persistence.engines.engine import NotStorable
from tenure.persistence.upkeep.verify import count_runtimes, runtime_ids, verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.ground import host_key
from tests.kit.seen import open_seen_store
from tests.kit.shares import TURN, share
from tests.persistence.contracts.damage import SCHEMA, execute
from tests.persistence.contracts.filled import fill_every_table

PLACE = "the row's own place; nothing names it"
TIME = "when it was, for people and for pruning"
STATE = "changes with every verb, so no digest is kept; what was done stands in the chain"

WORDS = "words for people, of an error or a version"
HOST = "who a host was; another host that cannot be found is judged dead, or `verdict` is `NotFound`"
REQUEST = "a verb on its way to an owner, who refuses what it does not know; it is carried out once and pruned"

NOT_FOUND: dict[str, str] = {
    **dict.fromkeys(
        [
            "attachments.attachment",
            "attachment_removals.removal",
            "branches.branch",
            "checkpoint_parts.part",
            "events.event",
            "execution_bindings.binding",
            "execution_snapshots.saved",
            "fact_references.reference",
            "links.link",
            "nodes.node",
            "output_chunks.chunk",
            "own_values.own_value",
            "own_writes.own_write",
            "receipts.receipt",
            "asks.ask",
            "children.child_key",
            "requests.request",
            "results.result_key",
            "sends.send",
            "session_moves.move",
            "state_values.entry",
            "token_usage.entry",
            "turns.turn",
            "entries.entry",
            "labels.label",
        ],
        PLACE,
    ),
    **dict.fromkeys(
        [
            "anchors.pruned_at",
            "asks.asked_at",
            "asks.ended_at",
            "children.spawned_at",
            "children.ended_at",
            "execution_snapshots.saved_at",
            "facts.stored_at",
            "inputs.finished_at",
            "label_sets.labelled_at",
            "inputs.pruned_at",
            "inputs.updated_at",
            "nodes.created_at",
            "nodes.tombstoned_at",
            "oauth_flow.updated_at",
            "operations.updated_at",
            "quarantines.since",
            "requests.created_at",
            "requests.done_at",
            "runs.ended_at",
            "runs.reopened_at",
            "runs.started_at",
            "runtimes.created_at",
            "runtimes.updated_at",
            "sends.created_at",
            "session_metas.updated_at",
            "turns.committed_at",
            "state_values.updated_at",
            "entries.started_at",
            "entries.ended_at",
            "stream_logs.saved_at",
            "stream_snapshots.saved_at",
            "streams.created_at",
            "streams.updated_at",
        ],
        TIME,
    ),
    **dict.fromkeys(
        [
            "inputs.admission",
            "inputs.attempts",
            "inputs.boundary",
            "inputs.recoveries",
            "runs.attempts",
            "runs.children",
            "runs.in_doubt",
            "runs.outcome",
            "sends.forgotten",
            "entries.attempt",
            "runtimes.asked",
            "runtimes.crashes",
            "runtimes.epoch",
            "runtimes.events",
            "runtimes.failures",
            "runtimes.generation",
            "runtimes.held",
            "runtimes.held_detail",
            "sessions.revision",
        ],
        STATE,
    ),
    **dict.fromkeys(
        ["inputs.error", "runs.error", "sends.refused", "entries.version"],
        WORDS,
    ),
    **dict.fromkeys(
        [
            "hosts.boot_id",
            "hosts.durability",
            "hosts.files",
            "hosts.host_name",
            "hosts.incarnation",
            "hosts.lease_until",
            "hosts.opened_at",
            "hosts.closed_at",
            "hosts.lost_at",
            "hosts.pid",
            "hosts.process_start",
        ],
        HOST,
    ),
    **dict.fromkeys(
        ["requests.answer", "requests.arguments", "requests.request_id", "requests.runtime", "requests.verb"],
        REQUEST,
    ),
    "execution_bindings.execution_id": "what it is bound to is a runtime; the execution is found by its own row",
    "execution_bindings.runtime": "one that is there: who may write an execution, and nothing of its content",
    "fact_references.source": "a fact with a reference stays; which sort it is changes nothing",
    "fact_references.stream": "a stream that is there: a fact with a reference stays",
    "hosts.group_number": "a higher one; one below a receipt of the host is found",
    "sends.fits": "whether a payload that fits its class no more is held for, or a dead letter, once it is sent again",
    "inputs.fitted": "whether a payload that fits its class no more is held for, or a dead letter",
    "inputs.deadline": "when what is unfinished is abandoned; a hold moves it",
    "erasures.peers": "whether copies with others go too, once it is done",
    "erasures.asked_at": TIME,
    "erasures.done_at": TIME,
    "holds.hold": PLACE,
    "holds.runtime_id": "which id a person keeps from beginning; it may be of a runtime that comes later",
    "holds.kind": "as its runtime id",
    "holds.note": WORDS,
    "holds.since": TIME,
    "inputs.extra": "correlation id and policy, for readers; one that is no JSON is found",
    "inputs.input": "of an input whose payload was let go; nothing names it",
    "inputs.run": "another run of the same runtime; of a consumed input the receipt must be there",
    "inputs.supersession_key": "which inputs that still wait a later one may replace",
    "attachment_removals.attachment_id": "bytes that no row names: a removal of others lets a writer wait while its host lives",
    "attachment_removals.host": "of a host that is gone the removal has ended, of another it ends with that one",
    "queue_batches.fence": "how often it was claimed; each claim has a token of its own besides",
    "quarantines.runtime": "one that is there: the mark is lifted by the next snapshot",
    "runs.run_id": "of a run that has recorded nothing",
    "runs.state_base": "an earlier one, or a later one that there is: what a run sees where it enters again",
    "runs.said": "an earlier or a later chunk of its runtime: where is looked for what of its words is to be dropped",
    "output_floors.runtime": "one that is there: another one's reader is told that something is gone",
    "runs.version": "which version recorded last: a host that has no such one goes on by its first that is not older",
    "runs.follows": "a run over an input that names no batch is held, and one over an input that does is an ordinary one",
    "followed_kinds.followed_kind": PLACE,
    "followed_kinds.kind": "the next host with that kind says it anew",
    "versions.version_key": "how old a version is beside the others of its kind: who goes on with a run, and nothing of it",
    "versions.kind": "a version that no host has heard of is registered anew",
    "versions.version": "as its kind",
    "versions.registered_at": TIME,
    "runs.base": "of another branch of the same conversation, or a message that was let go",
    "runtimes.fence_token": "a lower one; its owner is refused, and the next token is minted above all. A higher one is found",
    "runtimes.kind": "a kind that has no behaviour is not run, and another one is `KindMismatch`",
    "runtimes.run": "a run of the same runtime that has not ended",
    "runtimes.runtime_id": "of a runtime that has no receipt, no input and no binding",
    "sessions.session_id": "of a conversation that has neither rewrites nor meta",
    "asks.place": "as entries.place",
    "asks.run": "as entries.run",
    "sends.place": "as entries.place",
    "children.run": "as entries.run",
    "entries.asked_after": "where a step with a call id was asked for; a time that it was given there is drawn anew",
    "entries.place": "where in its run it stands; a restart carries entries over, so that it is not in the seal",
    "entries.run": "a run that is there; a restart carries entries over, so that it is not in the seal",
    "store.last_fence_token": "a higher one skips tokens; one below a token that is given out is found",
    "store.store_id": "a name by which nothing is found",
}
"""What `verify` does not find, and why that is borne."""

COLUMNS = 2
"""One column of so many in one turn; each turn that takes a column changes another row of it."""

TABLES = 2
"""Tables share turns too: in as many turns as `COLUMNS` of one share, and then of the next."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that has rows in every table."""
    folder = tmp_path_factory.mktemp("filled")

    async def make() -> None:
        async with open_seen_store(folder / "agents.db", durability="memory") as store:
            await fill_every_table(store)
            assert not await _found(store)

    trio.run(make)
    return folder


async def _found(store: Store) -> list[str]:
    """What `tenure verify` finds."""
    ids = await store.read(runtime_ids)
    found = [
        f"{problem.record} {problem.key}: {problem.detail}"
        for each in ids
        for problem in (await store.read(partial(verify_runtime, runtime_id=each))).problems
    ]
    if await store.read(count_runtimes) != len(ids):
        found.append("a runtime without a name")
    for part in await verify_parts(store):
        found += [f"{problem.record} {problem.key}: {problem.detail}" for problem in part.problems]
    return found


def _changed(value: Any) -> Any:
    """The value with one bit of one byte turned, or the next number."""
    match value:
        case int():
            return value ^ 1
        case float():
            return value + 1.0
        case str():
            # Of a history its first word: its times are there for people, as those of every row.
            is_history = value.startswith("[") and value.endswith("]\n")
            at = value.index('"') + 1 if is_history else len(value) // 2
            return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
        case _:
            at = len(value) // 2
            return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


async def _unseen(store: Store, table: str, column: str, key: str) -> list[str]:
    """Changes of this column that `verify` does not find."""
    rows = await execute(store, f"SELECT {key}, {column} FROM {table} WHERE length({column}) > 0 ORDER BY {key} DESC")
    unseen: list[str] = []
    if table == "hosts":
        rows = [row for row in rows if row[0] != host_key(store)]  # this one has written nothing yet
    for name, value in share(rows, len(rows), TURN // (COLUMNS * TABLES)):
        changed = _changed(value)
        try:
            await execute(store, f"UPDATE {table} SET {column} = ? WHERE {key} = ?", changed, name)
        except NotStorable:
            continue  # the schema itself refuses it
        unseen += [] if await _found(store) else [f"{table}.{column} of {name}: {value!r} to {changed!r}"]
        back = changed if column == key else name
        await execute(store, f"UPDATE {table} SET {column} = ? WHERE {key} = ?", value, back)
    return unseen


ROWLESS = {"sealing": "this store has no codec; tests/persistence/sealing change what a sealed one says of its own"}
"""Tables without a row here, and why."""


def test_every_reason_is_of_a_column_that_there_is() -> None:
    every = {f"{table}.{column}" for table, columns in SCHEMA.items() for column in columns}

    assert not set(NOT_FOUND) - every


@pytest.mark.sqlite("copies of the file")
@pytest.mark.parametrize("table", share(sorted(SCHEMA.keys() - ROWLESS.keys()), TABLES, TURN // COLUMNS))
async def test_a_changed_byte_of_any_column_is_found_or_has_its_reason(
    filled: Path, tmp_path: Path, table: str
) -> None:
    shutil.copytree(filled, tmp_path / "store")
    async with open_seen_store(tmp_path / "store" / "agents.db", durability="memory") as store:
        assert await execute(store, f"SELECT 1 FROM {table} LIMIT 1"), f"the walk needs a row in {table}"
        unseen: list[str] = []
        for column in share(SCHEMA[table], COLUMNS):
            if f"{table}.{column}" not in NOT_FOUND:
                unseen += await _unseen(store, table, column, SCHEMA[table][0])
        assert not await _found(store), "the walk put everything back"
    assert not unseen, "UNSEEN " + " ".join(sorted({each.partition(" of ")[0] for each in unseen}))


@pytest.mark.sqlite("copies of the file")
@pytest.mark.parametrize(
    ("table", "column", "others"),
    [
        ("inputs", "lane", "SELECT 'queue' UNION SELECT 'steer'"),
        ("inputs", "phase", "SELECT phase FROM inputs UNION SELECT 'applied' UNION SELECT 'superseded'"),
    ],
)
async def test_a_value_that_another_row_could_have_is_found(
    filled: Path, tmp_path: Path, table: str, column: str, others: str
) -> None:
    shutil.copytree(filled, tmp_path / "store")
    key = SCHEMA[table][0]
    async with open_seen_store(tmp_path / "store" / "agents.db", durability="memory") as store:
        # One of a store verb has the history that its caller gave it, or none.
        rows = await execute(store, f"SELECT {key}, {column} FROM {table} WHERE history <> ''")
        changes = [
            (name, was, other)
            for name, was in rows
            for (other,) in await execute(store, f"{others} EXCEPT SELECT {column} FROM {table} WHERE {key} = ?", name)
        ]
        assert changes
        unseen: list[str] = []
        for name, was, other in share(changes, 20):
            try:
                await execute(store, f"UPDATE {table} SET {column} = ? WHERE {key} = ?", other, name)
            except NotStorable:
                continue  # another row has it
            unseen += [] if await _found(store) else [f"{name}: {was!r} to {other!r}"]
            await execute(store, f"UPDATE {table} SET {column} = ? WHERE {key} = ?", was, name)
        assert not unseen
