"""Random bytes in every column that an owner writes, and in those that all runtimes share."""

from __future__ import annotations

import random
import types
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast, get_type_hints

import attrs
import pytest

from tenure import AbandonReason, InputId, Lane, LogicalRuntimeId, RunApplyBoundary, RunId, Store
from tenure.errors import Corrupt, CounterOverflow, Error, Internal, StoreBroken
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox import arrivals, outcomes
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.output import reads as output_reads
from tenure.persistence.facets.ownership import (
    lifecycle,
    ownership,
    requests,
)
from tenure.persistence.facets.records.labels import Relabel
from tenure.persistence.facets.runs import (
    dead_letters,
    entries,
    interrupted,
    restarting,
    runs,
    sends,
)
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.conversation.paths import RunPath
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.model.values import LAST_TOKEN
from tenure.persistence.upkeep.inspect import (
    Wanted,
    list_runtimes,
    show_runtime,
)
from tenure.persistence.upkeep.verify import (
    Verification,
    runtime_ids,
    verify_runtime,
)
from tenure.persistence.writing.host_row import other_hosts
from tenure.supervisor.accepting.tickets import stored_outcome
from tenure.supervisor.operators.unowned import FIRST, unfinished
from tenure.supervisor.runs.keeping.journal import load_journal
from tests.kit.ground import host_key
from tests.kit.past import write_past
from tests.kit.seen import open_seen_store
from tests.kit.shares import TURN, share
from tests.persistence.contracts.damage import (
    SCHEMA,
    Calls,
    Rows,
    damage,
    every_junk,
    execute,
    outcome,
    restore,
    save,
    spoilt,
)
from tests.persistence.contracts.journals.test_journal_damage import TABLES as JOURNAL_TABLES
from tests.persistence.contracts.owners.owned import (
    Owner,
    live,
)
from tests.persistence.contracts.queued.test_queue_damage import TABLES as QUEUE_TABLES
from tests.persistence.contracts.schedules.scheduling import TABLES as SCHEDULE_TABLES
from tests.persistence.contracts.sessions.test_sessions_damage import TABLES as SESSION_TABLES
from tests.persistence.contracts.test_damage import TABLES as CONTRACT_TABLES

ROUNDS = {"memory": 2, "file": 1}

TABLES = {
    "runtimes": "runtime = {alice}",
    "sessions": "runtime = {alice}",
    "nodes": "session IN (SELECT session FROM sessions WHERE runtime = {alice})",
    "runs": "runtime = {alice}",
    "inputs": "runtime = {alice}",
    "payloads": "input IN (SELECT input FROM inputs WHERE runtime = {alice})",
    "receipts": "runtime = {alice}",
    "links": "runtime = {alice}",
    "entries": "run IN (SELECT run FROM runs WHERE runtime = {alice})",
    "sends": "run IN (SELECT run FROM runs WHERE runtime = {alice})",
    "asks": "run IN (SELECT run FROM runs WHERE runtime = {alice})",
    "children": "parent = {alice}",
    "results": "run IN (SELECT run FROM runs WHERE runtime = {alice})",
    "requests": "runtime = {alice}",
    "anchors": "runtime = {alice}",
    "session_moves": "run IN (SELECT run FROM runs WHERE runtime = {alice})",
    "own_states": "runtime = {alice}",
    "own_values": "runtime = {alice}",
    "own_writes": "runtime = {alice}",
    "output_chunks": "runtime = {alice}",
    "output_floors": "runtime = {alice}",
    "labels": "runtime = {alice}",
    "label_sets": "runtime = {alice}",
}
"""What one runtime has of each table."""

OF_ALL = {
    "node_floor",
    "store",
    "promotion",  # a store that has not moved has none; that of one that has is in tests/persistence/engines/promotion
    "sealing",  # a store in the clear has none; what damages one is in tests/persistence/sealing
    "hosts",
    "oauth_flow",
    "versions",
    "followed_kinds",
    "holds",
    "attachments",
    "attachment_removals",
    "erasures",
    "asides",
}
"""Tables of the store itself; `oauth_flow` stands in test_damage.py, attachments in test_attachments.py, erasures in
test_erase.py, and what is aside in test_asides.py."""

OF_ALICE = "(SELECT runtime FROM runtimes WHERE runtime_id = 'alice')"

BEGINS = ("enter again", "begin", "begin more")
LOOKS = ("list", "list by labels", "ids", "requests", "arrived")

OTHER_HOST = (
    "INSERT INTO hosts"
    " (incarnation, host_name, boot_id, pid, process_start, durability, group_number, lease_until, opened_at)"
    " VALUES ('other', 'there', 'boot', 7, '1', 'disk', 3, 0, 0)"
)


def test_no_table_is_forgotten() -> None:
    others = (CONTRACT_TABLES, JOURNAL_TABLES, QUEUE_TABLES, SCHEDULE_TABLES, SESSION_TABLES)
    assert set(SCHEMA) == set(TABLES).union(OF_ALL, *others)


def read(
    store: Store, function: Callable[..., Any], *positional: Any, **arguments: Any
) -> Callable[[], Awaitable[Any]]:
    return partial(store.read, lambda statements: function(statements, *positional, **arguments))


def journal(statements: Statements, name: str) -> Any:
    row = statements.one("runtimes.load", runtime_id=name)
    return None if row is None or not isinstance(row[11], int) else load_journal(statements, row[11])


def reads(owner: Owner) -> Calls:
    """Everything that is read of one runtime."""
    store, name = owner.store, owner.runtime_id
    return {
        "journal": read(store, journal, name),
        "path": read(store, sessions.path_of_runtime, name),
        "page of the path": read(store, sessions.page_of_runtime, name, 0, None),
        "dead letters": read(store, dead_letters.of_runtime, name, InputId(""), 10),
        "refused sends": read(store, sends.refused, name, 0, 10),
        "outcome": read(store, stored_outcome, name, InputId(owner.named("first"))),
        "result": read(store, stored_outcome, name, InputId(owner.named("told"))),
        "result apart": read(store, stored_outcome, name, InputId(owner.named("told too"))),
        "outcome of a dead one": read(store, stored_outcome, name, InputId(owner.named("dead"))),
        "key": read(store, outcomes.find_by_key, name, "key"),
        "holding": read(store, ownership.find_holding, name),
        "own state": read(store, own_state.find, name),
        "output": read(store, output_reads.page, name, None),
        "show": read(store, show_runtime, name),
        "verify": read(store, verify_runtime, name),
        "answer": read(store, requests.find_answer, owner.named("answered")),
    }


def looks(store: Store) -> Calls:
    """What is read of all runtimes in one go: one bad row may not hide the others."""
    return {
        "list": read(store, list_runtimes),
        "list by labels": read(store, list_runtimes, wanted=Wanted(labels=(("of", "all"), ("tier", "gold")))),
        "ids": read(store, runtime_ids),
        "requests": read(store, requests.waiting_for, host_key(store)),
        "arrived": read(store, arrivals.arrived, host_key(store), arrivals.NOTHING_YET),
        "unfinished": read(store, unfinished, {}, FIRST),
    }


def writes(owner: Owner, peer: str) -> Calls:
    """What an owner writes, to be called in this order."""
    write, name = owner.write, owner.runtime_id
    known, begun = RunId(owner.named("run")), RunId(owner.named("next"))
    cancel = CancelInput(runtime_id=name, input_id=InputId(owner.named("waiting")))
    doubt = entries.DoubtEntries(runtime_id=name, run_id=known)
    settle = entries.SettleEntry(runtime_id=name, run_id=known, place="main/3", ran=True, result=b'"paid"')
    return {
        "accept": partial(owner.accept, "new"),
        "accept again": partial(owner.accept, "first", idempotency_key="key"),
        "accept in place": partial(owner.accept, "instead", supersession_key="s"),
        "ask": partial(write, owner.ask("more")),
        "ask another": partial(write, owner.asked("run", "more asked", "main/6", peer)),
        "give up": partial(write, owner.gave_up("run", "in time", "main/4")),
        "forget unbegun": partial(
            write, interrupted.ForgetUnbegun(runtime_id=name, run_id=known, places=("main/1", "no place"))
        ),
        "doubt": partial(write, doubt),
        "settle": partial(write, settle),
        "step": partial(owner.step, "run", "work", entries.EntryStatus.SUCCEEDED, b"1"),
        "enter again": partial(owner.begin, "other"),
        "say": partial(write, owner.say("run", b'"more"', start=2)),
        "checkpoint": partial(
            write,
            owner.append("run", b'"more"'),
            owner.keep("run", kept=b"2", gone=b"3"),
            owner.send("run", 3, peer),
            owner.receipt("run"),
            runs.StageSteered(runtime_id=name, run_id=known),
        ),
        "move": partial(write, owner.move("run", EntryKind.POP, 3, 3, RunPath(1, ((0, 1),))), owner.receipt("run")),
        "reject": partial(
            write, runs.RejectInput(runtime_id=name, run_id=known, input_id=InputId(owner.named("one")), error="no")
        ),
        "acquit": partial(write, interrupted.AcquitRun(runtime_id=name, run_id=known)),
        "keep": partial(write, own_state.WriteOwnState(runtime_id=name, values=(("kept", b"4"), ("gone", None)))),
        "relabel": partial(write, Relabel(runtime_id=name, changed=(("more", "1"), ("trial", None), ("tier", "gold")))),
        "finish": partial(
            write, owner.settle("run"), owner.receipt("run", RunApplyBoundary.RUN_START), owner.finish("run")
        ),
        "retry": partial(write, owner.retry("dead")),
        "begin": partial(owner.begin, "next", 9),
        "keep and fail": partial(write, owner.keep("dead", kept=b"5"), owner.receipt("dead")),
        "fail": partial(write, owner.fail("dead", 1.0)),
        "charge": partial(write, interrupted.ChargeCrash(runtime_id=name, max_crashes=9)),
        "unstage": partial(write, interrupted.UnstageRun(runtime_id=name)),
        "amend": partial(write, restarting.AmendRun(runtime_id=name, take_recorded=True)),
        "restart": partial(write, restarting.AmendRun(runtime_id=name, restart=True)),
        "begin anew": partial(owner.begin, "anew"),
        "drop run": partial(write, interrupted.DropRun(runtime_id=name, reason=AbandonReason.CANCELLED)),
        "go on": partial(write, owner.again("run")),
        "begin after": partial(owner.begin, "nothing"),
        "drop run after": partial(write, interrupted.DropRun(runtime_id=name, reason=AbandonReason.CANCELLED)),
        "drop": partial(write, owner.drop("dead")),
        "begin more": partial(write, runs.BeginRun(runtime_id=name, run_id=begun, batch=9)),
        "cancel": partial(write, cancel),
        "put aside": partial(write, interrupted.PutAside(runtime_id=name, run_id=begun, wake_at=9e9, steerable=True)),
        "steer": partial(owner.accept, "go on", lane=Lane.STEER),
        "begin woken": partial(owner.begin, "woken"),
        "cancel with run": partial(write, interrupted.CancelWithRun(runtime_id=name, input_id=cancel.input_id)),
        "hold": partial(write, lifecycle.Hold(runtime_id=name, reason="of a test")),
        "resume": partial(write, lifecycle.Hold(runtime_id=name, reason=None)),
        "carry out": partial(write, owner.answer("asked")),
        "own": owner.own,
        "reset": owner.reset,
        "release": partial(write, ownership.ReleaseOwnership(runtime_id=name)),
        "renew": partial(write, ownership.RenewLease()),
        "prune": partial(owner.store.prune, 0),
    }


async def world(store: Store) -> tuple[Owner, Owner, Rows]:
    await Owner(store, "peer").own()
    owners = Owner(store, "alice"), Owner(store, "bob")
    await live(*owners)
    await execute(store, OTHER_HOST)
    return *owners, await save(store)


async def untyped_errors(owner: Owner, peer: str) -> list[Any]:
    """What the calls of a damaged runtime raise that is no typed error."""
    token = owner.token
    wrong: list[Any] = []
    for name, call in {**reads(owner), **looks(owner.store), **writes(owner, peer)}.items():
        answer = await outcome(call)
        if isinstance(answer, Internal | StoreBroken) or mistyped(answer):
            wrong.append((name, answer))
    owner.token = token
    return wrong


def mistyped(answer: Any) -> bool:
    """Whether an answer has a value of another type than it declares."""
    if isinstance(answer, list | tuple):
        return any(map(mistyped, cast("list[Any]", answer)))
    kind = cast("type[Any]", type(answer))
    if not attrs.has(kind):
        return False
    declared = get_type_hints(kind)
    found = {field.name: getattr(answer, field.name) for field in attrs.fields(kind)}
    return any(mistyped(value) or not fits(value, declared[name]) for name, value in found.items())


def fits(value: Any, declared: Any) -> bool:
    if isinstance(declared, types.UnionType):
        return any(fits(value, each) for each in declared.__args__)
    plain = getattr(declared, "__supertype__", declared)
    return plain is Any or not isinstance(plain, type) or isinstance(value, plain)


def names(owner: Owner, answer: Any) -> bool:
    """Whether a look over all runtimes saw this one."""
    return any(getattr(each, "runtime_id", each) == owner.runtime_id for each in answer)


async def failures(owner: Owner, peer: str) -> list[Any]:
    """What a sound runtime cannot do."""
    token = owner.token
    wrong: list[Any] = []
    for name, call in {**reads(owner), **looks(owner.store), **writes(owner, peer)}.items():
        answer = await outcome(call)
        missed = name in BEGINS and answer is None
        unsound = isinstance(answer, Verification) and not answer.is_sound
        if isinstance(answer, Error) or missed or unsound or (name in LOOKS and not names(owner, answer)):
            wrong.append((name, answer))
    owner.token = token
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("table", share(TABLES, 2, TURN // 2))  # beside the kinds, which take turns too
@pytest.mark.parametrize("kind", share(["memory", "file"], 2))
async def test_damage_of_an_owned_runtime_is_a_typed_error_and_blocks_it_alone(
    tmp_path: Path, table: str, kind: str
) -> None:
    source = random.Random(f"{table} {kind}")
    target = ":memory:" if kind == "memory" else str(tmp_path / "agents.db")
    async with open_seen_store(target, durability="memory") as store:
        alice, bob, saved = await world(store)
        assert not await failures(bob, "alice"), "a story that fails by itself"
        await restore(store, saved)
        (key,) = (await execute(store, "SELECT runtime FROM runtimes WHERE runtime_id = 'alice'"))[0]
        where = TABLES[table].format(alice=key)
        assert await execute(store, f"SELECT 1 FROM {table} WHERE {where}"), "nothing would be damaged"
        for column, expression, value in share(spoilt(table, source, ROUNDS[kind]), 20):
            await damage(store, table, column, where, expression, value)
            wrong = {"alice": await untyped_errors(alice, "bob"), "bob": await failures(bob, "alice")}
            assert not any(wrong.values()), (f"{table}.{column} = {expression} {value!r}", wrong)
            assert store.broken is None
            await restore(store, saved)


async def test_a_conversation_that_goes_in_a_circle_is_corrupt_and_not_walked_for_ever() -> None:
    async with open_seen_store(":memory:") as store:
        alice, bob, _ = await world(store)
        await damage(
            store,
            "nodes",
            "parent",
            "session = (SELECT s.session FROM sessions s JOIN runtimes r ON r.runtime = s.runtime WHERE r.runtime_id = 'bob')",
            "node",
            None,
        )
        assert not await untyped_errors(bob, "alice")
        await bob.own()
        for call in (reads(bob)["path"], partial(store.runtimes.load_session_snapshot, "bob")):
            assert isinstance(await outcome(call), Corrupt)
        assert not await failures(alice, "bob")


@pytest.mark.sqlite("keys that are counted without gaps")
@pytest.mark.parametrize("value", [b"\xff", b"junk", 5_000.5, 0.5])
@pytest.mark.parametrize("expression", ["CAST(? AS TEXT)", "?"])
async def test_a_floor_that_is_no_number_hides_none_of_another_runtime(
    tmp_path: Path, expression: str, value: Any
) -> None:
    path = tmp_path / "agents.db"
    async with open_seen_store(path, durability="memory") as store:
        await world(store)
    write_past(path, f"UPDATE output_floors SET chunk = 1000 WHERE runtime <> {OF_ALICE}")
    write_past(path, f"UPDATE output_floors SET chunk = {expression} WHERE runtime = {OF_ALICE}", value)

    with closing(door_to(path).engine(None)) as engine:
        connection = engine.open()
        connection.begin_unnumbered()
        assert connection.key("output_chunks") == 1001
        connection.rollback()
        connection.close(checkpoint=True)
    async with open_seen_store(path, durability="memory") as store:
        assert not (await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId("alice")))).is_sound


def shared(store: Store) -> Calls:
    """What a host does that is of no runtime."""
    return {
        "health": store.health_check,
        "verdict": partial(store.verdict, store.incarnation, 1),
        "verdict of another": partial(store.verdict, "other", 1),
        "others": read(store, other_hosts, host_key(store)),
        "mark lost": partial(store.commit, Commit(changes=(ownership.MarkLost(host=99, counter=3),))),
        "renew": partial(store.commit, Commit(changes=(ownership.RenewLease(),))),
        "mark": read(store, arrivals.mark),
        "prune": partial(store.prune, 9e9),
    }


async def typed(calls: Calls) -> list[Any]:
    """What calls answer that is no typed error and of another type than it declares."""
    answers = [(name, await outcome(call)) for name, call in calls.items()]
    return [each for each in answers if isinstance(each[1], Internal | StoreBroken) or mistyped(each[1])]


@pytest.mark.parametrize("column", SCHEMA["store"])
async def test_a_damaged_row_of_the_store_is_a_typed_error_and_mints_no_token_twice(column: str) -> None:
    async with open_seen_store(":memory:") as store:
        alice, bob, saved = await world(store)
        tokens = {token for (token,) in await execute(store, "SELECT fence_token FROM runtimes")}
        for expression, value in share(every_junk(random.Random(column)), 7):
            await damage(store, "store", column, "TRUE", expression, value)
            what = f"store.{column} = {expression} {value!r}"
            for call in (bob.own, alice.own, alice.reset):
                minted = await outcome(call)
                assert not isinstance(minted, Internal | StoreBroken), (what, minted)
                fresh = {token for (token,) in await execute(store, "SELECT fence_token FROM runtimes")}
                assert isinstance(minted, Error) or len(fresh) == len(tokens), what
                assert isinstance(minted, Error) or max(fresh) > max(tokens), (what, "a token came again")
            assert not await typed(shared(store)), what
            assert store.broken is None, what
            await restore(store, saved)


async def test_the_last_token_is_minted_once_and_then_none() -> None:
    async with open_seen_store(":memory:") as store:
        await execute(store, "UPDATE store SET last_fence_token = ?", LAST_TOKEN - 1)
        owner = Owner(store, "alice")

        assert (await owner.own()).fence_token == LAST_TOKEN
        with pytest.raises(CounterOverflow):
            await owner.own()
        assert await execute(store, "SELECT fence_token FROM runtimes") == [(LAST_TOKEN,)]


@pytest.mark.parametrize("column", SCHEMA["hosts"])
async def test_a_damaged_row_of_ones_own_host_is_a_typed_error(tmp_path: Path, column: str) -> None:
    for number, (expression, value) in enumerate(share(every_junk(random.Random(column)), 7)):
        path = tmp_path / f"{number}.db"
        with suppress(Corrupt):  # its row cannot be closed in order: it is found dead by its lock
            async with open_seen_store(path, durability="memory") as store:
                alice, _, _ = await world(store)
                await damage(store, "hosts", column, "incarnation <> 'other'", expression, value)
                what = f"hosts.{column} = {expression} {value!r}"
                wrong = [*await typed(shared(store)), *await untyped_errors(alice, "bob")]
                assert not wrong, (what, wrong)
                assert store.broken is None, what
        async with open_seen_store(path, durability="memory") as store:
            await store.health_check()


@pytest.mark.parametrize("column", SCHEMA["hosts"])
async def test_a_damaged_row_of_another_host_is_nobody_elses_matter(column: str) -> None:
    async with open_seen_store(":memory:") as store:
        _, bob, saved = await world(store)
        for expression, value in share(every_junk(random.Random(column)), 7):
            await damage(store, "hosts", column, "incarnation = 'other'", expression, value)
            what = f"hosts.{column} = {expression} {value!r}"
            assert not await typed(shared(store)), what
            assert not await failures(bob, "alice"), what
            await restore(store, saved)
