"""A group that an engine gives back is tried as a whole again; what an engine is told of a group before it begins."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tenure.errors import Contended, NotFound
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.engines.engine import Again
from tenure.persistence.engines.sqlite.writer import Writer
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.inbox.inputs import CancelInput
from tenure.persistence.facets.ownership.ownership import MarkLost, ReleaseOwnership
from tenure.persistence.facets.runs.sends import Send
from tenure.persistence.model.values import InputId, RunId
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store, ground_of
from tenure.persistence.writing.starting import StartingGroup
from tests.kit.stores import OpenMode, landed, message, name, own, ownership, settle_all

Conflict = Callable[[int], list[int]]


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
            ground_of(store).submit(message(store, "m")),
            ground_of(store).submit(message(store, "n", runtime_id="nobody")),
            ground_of(store).submit(Commit(runtime_id=name("a"), fence_token=token, changes=(say,))),
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

        outcomes = await settle_all(
            [ground_of(store).submit(message(store, "m")), ground_of(store).submit(message(store, "n"))]
        )

        assert [type(each) for each in outcomes] == [Contended, Contended]
        assert await landed(store, "m", "n") == []
        assert store.broken is None


async def test_a_group_is_given_up_where_the_clock_stands_still(open_file: OpenMode, conflict: Conflict) -> None:
    async with open_file(boot_clock=lambda: 5.0) as store:
        await own(store)
        given_back = conflict(-1)

        assert [type(each) for each in await settle_all([ground_of(store).submit(message(store, "m"))])] == [Contended]
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

    group = StartingGroup(1, 2, commits, synced=True)

    assert group.written == {"owned", "given up"}
    assert group.reached == {"target", "inbox"}
    assert group.moved == {"new", "given up"}
