"""Commits that go side by side: the same answers and the same rows as one after another, in the round trips of one of them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, cast

import attrs
import pytest
from greenlet import getcurrent
from hypothesis import settings
from hypothesis.stateful import initialize, run_state_machine_as_test

from tenure.errors import Error
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.engines.engine import FailedLate, WriteConnection
from tenure.persistence.engines.postgres.keys import LEAST
from tenure.persistence.engines.postgres.protocol.errors import Lost
from tenure.persistence.engines.postgres.protocol.wire import Wire, plain
from tenure.persistence.engines.postgres.strands.lanes import Lane, carry_out
from tenure.persistence.engines.postgres.writer import Writer
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.inbox.newcomers import Newcomer
from tenure.persistence.facets.output.output import AppendOutput
from tenure.persistence.facets.runs.runs import RunBegun
from tenure.persistence.model.codec import digest
from tenure.persistence.model.values import InputId, SessionId
from tenure.persistence.store import Store
from tenure.persistence.writing.strands import carrying
from tenure.testing.observing import inside_of
from tests.kit import postgres
from tests.kit.ground import submit
from tests.kit.seen import open_seen_store
from tests.kit.shares import examples
from tests.kit.stores import message, name, own, settle_all
from tests.persistence.contracts.owners.owned import Owner
from tests.persistence.contracts.owners.owner_model import OwnerModel
from tests.persistence.contracts.owners.test_owner_model import OWNED, Hosts, OwnerMachine, Waiting
from tests.persistence.engines.postgres.test_round_trips import say

# One after another, beside side by side

_in_order: list[Writer] = []
"""Connections whose groups go one commit after another."""


@contextmanager
def some_in_order() -> Generator[None]:
    """Meanwhile `_in_order` counts."""
    side_by_side = vars(Writer)["side_by_side"]
    with pytest.MonkeyPatch.context() as patch:
        found = property(lambda self: None if self in _in_order else side_by_side.fget(self))
        patch.setattr(Writer, "side_by_side", found)
        yield
    _in_order.clear()


def writer_of(store: Store) -> Writer:
    opened: Any = vars(store)["_opened"]
    return cast("Writer", opened.connection)


KEYS: Final = {
    *("admission", "base", "chunk", "head", "host", "input", "landed", "node", "own_write", "owner", "parent", "run"),
    *("runtime", "said", "session", "target", "child", "send", "entry", "speech_key"),
}
"""Columns whose numbers depend on which commit was given its key first."""

SEALS: Final = {"digest", "seal"}
"""What they are of has such numbers in it."""

OF_ONE: Final = {"hosts", "schema_version", "store", "timeline"}
"""Tables that say something of one store alone."""

COLUMNS: Final = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'tenure' ORDER BY table_name, ordinal_position
"""


async def rows_of(store: Store) -> dict[str, list[str]]:
    """By table, its rows without their keys, in some order."""
    async with store.read_connection() as connection:
        columns: dict[str, list[str]] = {}
        for table, column in await connection.query(COLUMNS):
            columns.setdefault(table, []).append(column)
        found: dict[str, list[str]] = {}
        for table in columns.keys() - OF_ONE:
            named = [each for each in columns[table][1:] if each not in KEYS | SEALS]
            if named:
                found[table] = sorted(map(str, await connection.query(f"SELECT {', '.join(named)} FROM {table}")))
        return found


def exactly(outcome: Any) -> object:
    """What a commit came to, without keys."""
    if isinstance(outcome, Error):
        return type(outcome), str(outcome)
    result = cast("CommitResult", outcome)
    values: list[Any] = []
    for change, value in zip(result.changes, result.values, strict=True):
        if isinstance(value, RunBegun):
            value = attrs.evolve(value, run=0, base=None, runtime=0, said=None)  # noqa: PLW2901 - the same, without keys
        values.append(None if isinstance(change, AppendOutput) else value)
    return result.group, values, result.written, result.past


class TwinMachine(OwnerMachine):
    """A store whose commits go side by side, one whose commits go one after another, and the model of both."""

    prune_output: Any = None  # it names a chunk by its key

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.hosts = Hosts(f"{self.folder.name}/side by side", 1)
        self.twin = Hosts(f"{self.folder.name}/one by one", 1)
        _in_order.append(writer_of(self.twin.stores["A"]))
        self.model = OwnerModel()
        self.waiting: list[Waiting] = []
        self.count = 0
        for each in OWNED:
            self.own(each, "A")

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            if hasattr(self, "twin"):
                self.twin.close()

    def flush(self, *, grouped: bool) -> None:
        waiting = self.waiting
        self.outcomes: list[object] = []
        self.twin.now = self.hosts.now
        super().flush(grouped=grouped)
        if waiting:
            mine, self.outcomes = self.outcomes, []
            rows = self.hosts.run(rows_of, self.hosts.stores["A"])
            self.hosts, twin = self.twin, self.hosts
            try:
                self.hosts.run(partial(self._commit_all, waiting, grouped=grouped))
                assert self.outcomes == mine
                found = self.hosts.run(rows_of, self.hosts.stores["A"])
                assert not {table: (rows[table], found[table]) for table in rows if rows[table] != found[table]}
            finally:
                self.hosts = twin

    async def _settle(self, pending: Any) -> Any:
        found = await super()._settle(pending)
        self.outcomes.append(exactly(pending.outcome))
        return found


@pytest.fixture
def waves(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """For each try of a group, how many strands its waves have."""
    found: list[list[int]] = []
    carry_out_waves = carrying.carry_out

    def noted(waves: Any, *rest: Any) -> None:
        known = list(waves)
        found.append([len(each) for each in known])
        carry_out_waves(known, *rest)

    monkeypatch.setattr("tenure.persistence.writing.group.carry_out", noted)
    return found


@pytest.mark.slow
@pytest.mark.postgres
def test_commits_side_by_side_answer_and_write_what_they_do_one_after_another(waves: list[list[int]]) -> None:
    postgres.needs_server()
    with postgres.on_server(), some_in_order():
        run_state_machine_as_test(TwinMachine, settings=settings(max_examples=examples(40), stateful_step_count=30))

    widths = [width for each in waves for width in each]
    assert sum(width > 1 for width in widths) > len(widths) / 20


# Round trips, and who waits for whom


def side_by_side(connection: WriteConnection, *strands: Callable[[], None]) -> None:
    together = connection.side_by_side
    assert together is not None
    together(strands)


async def test_strands_take_the_round_trips_of_the_one_that_asks_most(url: str) -> None:
    async with open_seen_store(url) as store:
        writer = writer_of(store)
        heard: list[tuple[str, int]] = []

        def asking(strand: str, times: int) -> None:
            for time in range(times):
                assert writer.one("runtimes.load", runtime_id=strand) is None
                heard.append((strand, time))

        def ask_all(connection: WriteConnection) -> int:
            connection.begin_unnumbered()
            before = writer.trips
            side_by_side(
                connection, *(partial(asking, strand, times) for strand, times in zip("abc", (1, 4, 2), strict=True))
            )
            taken = writer.trips - before
            connection.rollback()
            return taken

        assert await inside_of(store).run(ask_all) == 4
        assert heard == [("a", 0), ("b", 0), ("c", 0), ("b", 1), ("c", 1), ("b", 2), ("b", 3)]


async def test_what_one_strand_raises_ends_the_others_where_they_stand(url: str) -> None:
    async with open_seen_store(url) as store:
        writer, ended = writer_of(store), list[str]()

        def stand() -> None:
            try:
                writer.one("runtimes.load", runtime_id="a")
            finally:
                ended.append("stood")

        def refuse() -> None:
            raise KeyError

        def wrong(verb: Callable[..., object]) -> None:
            verb("holds.place", key=1, runtime_id=None, kind="k", note=None, now=None)

        def try_it(connection: WriteConnection) -> None:
            connection.begin_unnumbered()
            with pytest.raises(KeyError):
                side_by_side(connection, stand, refuse)
            for strands in ((partial(wrong, writer.write), stand), (stand, partial(wrong, writer.run))):
                with pytest.raises(FailedLate):  # of which strand is not asked: savepoints say it
                    side_by_side(connection, *strands)
                connection.rollback()
                connection.begin_unnumbered()
            assert connection.one("runtimes.load", runtime_id="a") is None
            connection.rollback()

        await inside_of(store).run(try_it)

        assert ended == ["stood"] * 3


async def test_a_strand_counts_the_rows_that_it_has_written_itself(url: str) -> None:
    async with open_seen_store(url) as store:
        writer, counts = writer_of(store), dict[int, int]()

        def write(rows: int) -> None:
            before = writer.rows_written
            for each in range(rows):
                writer.write("inputs.insert_payload", input=10 * rows + each, payload=b"")
                writer.one("runtimes.load", runtime_id="a")
            counts[rows] = writer.rows_written - before

        def try_it(connection: WriteConnection) -> int:
            connection.begin_unnumbered()
            before = connection.rows_written
            side_by_side(connection, *(partial(write, rows) for rows in (3, 1, 2)))
            written = connection.rows_written - before
            connection.rollback()
            return written

        assert await inside_of(store).run(try_it) == 6
        assert counts == {3: 3, 1: 1, 2: 2}


async def test_keys_rise_in_a_strand_also_where_others_have_asked_for_some(url: str) -> None:
    async with open_seen_store(url) as store:
        writer, keys = writer_of(store), dict[str, list[int]]()

        def take(strand: str, count: int) -> None:
            for _ in range(count):
                keys.setdefault(strand, []).append(writer.key("inputs"))
                writer.one("runtimes.load", runtime_id=strand)

        def try_it(connection: WriteConnection) -> None:
            connection.begin_unnumbered()
            side_by_side(
                connection, *(partial(take, strand, count) for strand, count in zip("abc", (9, 30, 2), strict=True))
            )
            connection.rollback()

        await inside_of(store).run(try_it)

        assert [len(each) for each in keys.values()] == [9, 30, 2]
        assert all(each == sorted(each) for each in keys.values())
        assert len({key for each in keys.values() for key in each}) == 41


async def test_strands_that_ask_for_keys_at_once_ask_together_for_twice_those_that_were_given(url: str) -> None:
    async with open_seen_store(url) as store:
        writer = writer_of(store)

        def take() -> None:
            writer.key("inputs")

        def last(connection: WriteConnection) -> int:
            ((key,),) = connection.raw("SELECT last_value FROM inputs_input_seq")
            return cast("int", key)

        def try_it(connection: WriteConnection) -> int:
            connection.begin_unnumbered()
            for _ in range(4 + 8 + 24):
                writer.key("inputs")
            before = last(connection)
            side_by_side(connection, *[take] * 50)
            asked = last(connection) - before
            connection.rollback()
            return asked

        assert await inside_of(store).run(try_it) == 2 * 36 + 49 * LEAST


def test_nothing_of_a_strand_outlives_its_thread_whatever_ended_it() -> None:
    # What is left of a thread's greenlets is looked for among all objects when it ends.
    lanes, kept = list[Lane | None](), list[Exception]()

    def ask() -> None:
        assert lanes[-1] is not None
        lanes[-1].ask(plain("SELECT 1"))

    def refuse() -> None:
        ask()
        raise KeyError

    def enter(lane: Lane | None) -> None:
        lanes[:] = [lane]

    def answer(_: object, asking: int) -> Any:
        return dict.fromkeys(range(asking), "an answer")

    def lose(_: object, asking: int) -> Any:
        raise Lost(str(asking))

    hub = getcurrent()
    before = sys.getrefcount(hub)
    carry_out([ask, ask], enter, answer)
    for strands, exchange in (([ask, refuse, ask], answer), ([ask, ask], lose)):
        with pytest.raises((KeyError, Lost)) as caught:
            carry_out(strands, enter, exchange)
        kept.append(caught.value)
    assert sys.getrefcount(hub) == before


# Groups that cannot go so


def newcomer(runtime_id: str, session: str) -> Commit:
    """An input of a runtime that is made with it."""
    change = AcceptInput(
        runtime_id=name(runtime_id),
        input_id=InputId(f"{runtime_id} {session}"),
        payload=b"1",
        payload_digest=digest(b"1"),
        newcomer=Newcomer(kind="k", session_id=SessionId(session)),
    )
    return Commit(changes=(change,))


async def test_two_commits_that_make_the_same_conversation_go_one_after_another(url: str) -> None:
    async with open_seen_store(url) as store:
        found = await settle_all([submit(store, newcomer(each, "s")) for each in "ab"])

        assert [isinstance(each, CommitResult) for each in found] == [True, False]
        assert "another runtime's" in str(found[1])


async def test_a_conversation_goes_to_the_first_that_names_it_also_where_a_later_one_is_sooner_there(url: str) -> None:
    async with open_seen_store(url) as store:
        longer = [message(store, f"a round trip more: {n}", "a") for n in range(5)]
        found = await settle_all([submit(store, each) for each in (*longer, newcomer("a", "s"), newcomer("b", "s"))])

        assert [isinstance(each, CommitResult) for each in found] == [False] * 5 + [True, False]
        assert "another runtime's" in str(found[-1])


async def test_a_commit_that_is_refused_after_it_has_written_takes_none_of_those_beside_it_along(url: str) -> None:
    async with open_seen_store(url) as store:
        tokens = {each: await own(store, each) for each in "abc"}
        spoiled = Commit(
            runtime_id=name("b"),
            fence_token=tokens["b"],
            changes=(*say("b", tokens["b"]).changes, Owner(store, "b").finish("none")),
        )
        found = await settle_all(
            [submit(store, each) for each in (say("a", tokens["a"]), spoiled, say("c", tokens["c"]))]
        )

        assert [isinstance(each, CommitResult) for each in found] == [True, False, True]
        async with store.read_connection() as connection:
            assert await connection.query("SELECT count(*) FROM nodes") == [(2,)]


async def test_an_answer_that_reaches_the_one_that_asked_goes_by_itself_and_the_others_side_by_side(
    url: str, waves: list[list[int]]
) -> None:
    async with open_seen_store(url) as store:
        asker, oracle = Owner(store, "a"), Owner(store, "o")
        tokens = {each: await own(store, each) for each in "bc"}
        for each in (asker, oracle):
            await each.own()
        await asker.accept("work")
        await asker.begin("run")
        await asker.write(asker.asked("run", "q", "main/1", "o"))
        await oracle.begin("answering")
        answer = Commit(
            runtime_id=oracle.runtime_id,
            fence_token=oracle.token,
            changes=(oracle.receipt("answering"), oracle.finish("answering")),
        )
        waves.clear()
        found = await settle_all(
            [submit(store, each) for each in (say("b", tokens["b"]), answer, say("c", tokens["c"]))]
        )

        assert all(isinstance(each, CommitResult) for each in found)
        assert waves == [[3], [1, 1, 1]]
        async with store.read_connection() as connection:
            assert await connection.query("SELECT ended_at IS NOT NULL FROM asks") == [(True,)]


async def test_a_connection_that_is_lost_at_any_round_trip_of_a_group_in_strands_loses_and_doubles_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, left = Wire.exchange, [-1]

    def cut(wire: Wire, commands: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            wire.close()
            message = "a test has cut it"
            raise Lost(message)
        return exchange(wire, commands)

    monkeypatch.setattr(Wire, "exchange", cut)
    async with open_seen_store(url) as store:
        tokens = {each: await own(store, each) for each in "abc"}
        keys: list[str] = []
        at = 0
        while True:
            at += 1
            left[0] = at
            key = f"cut {at}"
            commits = [message(store, key, each) for each in "abc"] + [say(each, tokens[each]) for each in "abc"]
            found = await settle_all([submit(store, each) for each in commits])
            keys.append(key)

            assert all(isinstance(each, CommitResult) for each in found)
            if left[0] > 0:
                break
        async with store.read_connection() as connection:
            landed = await connection.query("SELECT idempotency_key FROM inputs ORDER BY 1")
            assert landed == sorted((each,) for each in keys * 3)
            assert await connection.query("SELECT count(*) FROM nodes") == [(3 * len(keys),)]

        assert at > 3
