"""A group that an engine gives back is tried as a whole again; what an engine is told of a group before it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tenure.errors import Contended, CounterOverflow, Internal, NotFound
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.engines.engine import Again, FailedLate, Statements
from tenure.persistence.engines.sqlite.writer import Writer
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.ownership.ownership import MarkLost, ReleaseOwnership
from tenure.persistence.facets.runs.sends import Send
from tenure.persistence.model.values import InputId, RunId
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store
from tenure.persistence.writing.host_row import HostKey
from tenure.persistence.writing.starting import StartingGroup
from tests.kit.ground import submit
from tests.kit.stores import OpenMode, landed, message, name, own, ownership, settle_all

pytestmark = pytest.mark.sqlite("makes the connection of SQLite give groups back")

Conflict = Callable[[int], list[int]]
Heard = dict[str, Callable[[str, Mapping[str, Any]], None]]


@pytest.fixture
def conflict(monkeypatch: pytest.MonkeyPatch) -> Conflict:
    """Has the engine give so many groups back at COMMIT; returns a list that grows with each one."""
    commit = Writer.commit

    def conflict(times: int) -> list[int]:
        given_back: list[int] = []

        def refuse(writer: Writer) -> int:
            if len(given_back) == times:
                return commit(writer)
            given_back.append(1)
            raise Again("another host wrote the same rows")

        monkeypatch.setattr(Writer, "commit", refuse)
        return given_back

    return conflict


async def test_a_group_that_is_given_back_lands_when_it_is_tried_again(store: Store, conflict: Conflict) -> None:
    token = await own(store)
    given_back = conflict(3)
    say = AppendMessages(runtime_id=name("a"), messages=(b"once",))

    outcomes = await settle_all(
        [
            submit(store, message(store, "m")),
            submit(store, message(store, "n", runtime_id="nobody")),
            submit(store, Commit(runtime_id=name("a"), fence_token=token, changes=(say,))),
        ]
    )

    assert [type(each) for each in outcomes] == [CommitResult, NotFound, CommitResult]
    assert len(given_back) == 3
    assert await landed(store, "m") == ["m"]
    assert await store.runtimes.load_session_snapshot(name("a")) is not None
    rows = await store.read(lambda statements: statements.all("sessions.of_runtime", runtime_id="a"))
    assert rows[0][2] == 1, "said once"


async def test_a_group_that_is_given_back_again_and_again_is_contended_and_did_not_land(
    open_file: OpenMode, conflict: Conflict
) -> None:
    async with open_file(limits=Limits(busy_s=0.05)) as store:
        await own(store)
        conflict(-1)

        outcomes = await settle_all([submit(store, message(store, "m")), submit(store, message(store, "n"))])

        assert [type(each) for each in outcomes] == [Contended, Contended]
        assert await landed(store, "m", "n") == []
        assert store.broken is None


async def test_a_group_is_given_up_where_the_clock_stands_still(open_file: OpenMode, conflict: Conflict) -> None:
    async with open_file(boot_clock=lambda: 5.0) as store:
        await own(store)
        given_back = conflict(-1)

        assert [type(each) for each in await settle_all([submit(store, message(store, "m"))])] == [Contended]
        assert len(given_back) > 1


async def test_an_engine_is_told_whose_runtimes_a_group_writes(store: Store) -> None:
    send = Send(
        runtime_id=name("owned"),
        run_id=RunId("r"),
        index=1,
        target=name("target"),
        input_id=InputId("i"),
        payload=b"1",
        payload_digest=b"2",
    )
    cancel = CancelInput(runtime_id=name("owned"), input_id=InputId("i"))
    commits = [
        Commit(runtime_id=name("owned"), fence_token=1, changes=(cancel, send)),
        message(store, "m", "inbox"),
        Commit(changes=(ownership(store, "new"), MarkLost(host=7, counter=None))),
        Commit(runtime_id=name("given up"), fence_token=2, changes=(ReleaseOwnership(runtime_id=name("given up")),)),
    ]

    group = StartingGroup(HostKey(host=1, incarnation="i"), 2, commits, synced=True)

    assert group.written == {"owned", "given up"}
    assert group.reached == {"target", "inbox"}
    assert group.moved == {"new", "given up"}
    assert not group.names_all, "the mark of a lost host"
    assert StartingGroup(HostKey(host=1, incarnation="i"), 2, [*commits[:2], commits[3]], synced=True).names_all


Failure = Callable[[type[Exception], int], list[int]]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """What is called before a statement, by the method that executes it; what it raises, the statement raises.

    In place before the store opens: its transaction takes the methods as they are then.
    """
    heard: Heard = {}

    def around(method: str) -> None:
        execute = getattr(Writer, method)

        def hear(writer: Writer, named: str, /, **parameters: Any) -> Any:
            if method in heard:
                heard[method](named, parameters)
            return execute(writer, named, **parameters)

        monkeypatch.setattr(Writer, method, hear)

    around("one")
    around("write")
    return heard


@pytest.fixture
def failure(heard: Heard) -> Failure:
    """Has the engine raise so many times at a statement that accepts write; returns a list that grows with each one."""

    def failure(kind: type[Exception], times: int) -> list[int]:
        failed: list[int] = []

        def refuse(named: str, _: object) -> None:
            if named == "inputs.insert_payload" and len(failed) != times:
                failed.append(1)
                raise kind("as the engine says")

        heard["write"] = refuse
        return failed

    return failure


async def test_a_statement_that_gives_the_group_back_has_all_of_it_tried_again(failure: Failure, store: Store) -> None:
    await own(store)
    failed = failure(Again, 3)

    outcomes = await settle_all(
        [
            submit(store, message(store, "m")),
            submit(store, message(store, "n", runtime_id="nobody")),
        ]
    )

    assert [type(each) for each in outcomes] == [CommitResult, NotFound]
    assert len(failed) == 3
    assert await landed(store, "m") == ["m"]


async def test_an_error_that_comes_late_is_not_that_of_the_commit_that_hears_it(heard: Heard, store: Store) -> None:
    await own(store)
    late = [True]

    def hear(_: str, parameters: Mapping[str, Any]) -> None:
        if late and parameters.get("runtime_id") == "nobody":
            late.clear()
            raise FailedLate("a statement of the commit before")

    heard["one"] = hear

    outcomes = await settle_all(
        [
            submit(store, message(store, "m")),
            submit(store, message(store, "n", runtime_id="nobody")),
        ]
    )

    assert [type(each) for each in outcomes] == [CommitResult, NotFound]
    assert not late
    assert await landed(store, "m") == ["m"]


async def test_an_error_that_is_late_with_savepoints_too_ends_its_own_commit(failure: Failure, store: Store) -> None:
    await own(store)
    token = await own(store, "b")
    failure(FailedLate, -1)
    say = AppendMessages(runtime_id=name("b"), messages=(b"here",))

    outcomes = await settle_all(
        [
            submit(store, message(store, "m")),
            submit(store, Commit(runtime_id=name("b"), fence_token=token, changes=(say,))),
        ]
    )

    assert [type(each) for each in outcomes] == [Internal, CommitResult]
    assert await landed(store, "m") == []


async def test_what_a_savepoint_says_at_its_end_is_the_error_of_its_commit(
    heard: Heard, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own(store)
    release = Writer.release
    late: list[int] = []

    def write_late(named: str, parameters: Mapping[str, Any]) -> None:
        if named == "inputs.insert_payload" and parameters["payload"] == b'"bad"':
            if not saving:
                raise FailedLate("whose it was is not known")
            late.append(1)

    def release_late(writer: Writer) -> None:
        if late:
            late.clear()
            raise CounterOverflow(counter="as the server says")
        release(writer)

    saving: list[int] = []
    savepoint = Writer.savepoint

    def begin_saving(writer: Writer) -> None:
        saving.append(1)
        savepoint(writer)

    heard["write"] = write_late
    monkeypatch.setattr(Writer, "release", release_late)
    monkeypatch.setattr(Writer, "savepoint", begin_saving)

    outcomes = await settle_all(
        [
            submit(store, message(store, "m", payload=b'"bad"')),
            submit(store, message(store, "n")),
        ]
    )

    assert [type(each) for each in outcomes] == [CounterOverflow, CommitResult]
    assert await landed(store, "m", "n") == ["n"]


async def test_a_view_that_is_lost_on_the_way_is_read_anew(store: Store) -> None:
    reads: list[int] = []

    def lost_once(statements: Statements) -> int:
        reads.append(1)
        if len(reads) == 1:
            raise Again("the connection was lost")
        return len(statements.all("ownership.latest_hosts", count=1))

    assert await store.read(lost_once) == 1
    assert len(reads) == 2


async def test_a_read_whose_views_are_all_lost_is_contended_and_the_store_goes_on(store: Store) -> None:
    def lost(_statements: Statements) -> None:
        raise Again("the connection was lost")

    with pytest.raises(Contended):
        await store.read(lost)
    await own(store)
