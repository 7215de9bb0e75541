"""A store that is promoted: all of it is there, goes on there, and is closed where it was."""

from __future__ import annotations

import functools
import shutil
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
import trio
from attrs import evolve

import tenure
from tenure.crypto import AesGcm
from tenure.errors import (
    CannotOpen,
    Contended,
    Corrupt,
    DiskFull,
    Error,
    InvalidInput,
    KeyMissing,
    NotADatabase,
    PromotionUnfinished,
    StoreBroken,
    StoreLocked,
    StorePromoted,
    Unsupported,
)
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.door import Door
from tenure.persistence.engines.engine import Row, WriteConnection
from tenure.persistence.engines.statements import all_tables
from tenure.persistence.engines.tables import NOT_CARRIED, Table
from tenure.persistence.upkeep.backup import back_up
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.promoting import promote as promoting, walking
from tenure.persistence.upkeep.promoting.ends import End, Glance
from tenure.persistence.upkeep.promoting.logical_hash import LogicalHash
from tenure.persistence.upkeep.promoting.promote import Promotion, promote
from tenure.persistence.upkeep.verify import runtime_ids, verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit import postgres
from tests.kit.children import child
from tests.kit.promoting import Way, bytes_of, carried, is_open, rows_of
from tests.kit.sealing import ONE
from tests.kit.seen import open_seen_store
from tests.kit.stores import landed, message, own
from tests.persistence.contracts.builders import delta
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.filled import fill_every_table

NO_ROWS = {"sealing"}
"""Tables of which a store without a codec has no row."""


async def sound(place: str) -> None:
    async with look_into(place) as look:
        for part in await verify_parts(look):
            assert part.is_sound, part
        for runtime_id in await look.read(runtime_ids):
            verified = await look.read(functools.partial(verify_runtime, runtime_id=runtime_id))
            assert verified.is_sound, verified.problems


async def test_every_row_of_every_table_is_there_and_comes_back(filled: Path, tmp_path: Path, way: Way) -> None:
    before, attached = rows_of(str(filled)), bytes_of(str(filled))
    assert {table for table, rows in before.items() if not rows} == NO_ROWS
    assert attached

    await way.put(filled)
    there = await way.go()
    back = await promote(way.target, tmp_path / "back.db")

    for place in (way.source, way.target, str(tmp_path / "back.db")):
        assert carried(rows_of(place)) == carried(before), place
        assert bytes_of(place) == attached, place
        await sound(place)
    assert there.rows == {table: len(rows) for table, rows in before.items() if table != "promotion"}
    assert (there.attachments, there.attachment_bytes) == (len(attached), sum(map(len, attached.values())))
    assert back.logical_hash == there.logical_hash
    assert [is_open(each) for each in (way.source, way.target, str(tmp_path / "back.db"))] == [False, False, True]


async def test_what_is_sealed_is_carried_without_its_key(tmp_path: Path, way: Way) -> None:
    seams = tenure.Seams(codec=AesGcm(ONE))
    async with open_seen_store(tmp_path / "sealed.db", seams=seams) as store:
        await fill_every_table(store)
        await store.state.set("a", b"a value")
    before = rows_of(str(tmp_path / "sealed.db"))
    assert not [table for table, rows in before.items() if not rows]

    await way.put(tmp_path / "sealed.db")
    await way.go()

    assert carried(rows_of(way.target)) == carried(before)
    async with tenure.open_store(way.target, seams=seams) as store:
        assert await store.state.get("a") == b"a value"
    with pytest.raises(StorePromoted):
        async with tenure.open_store(way.source, seams=seams):
            pass
    with pytest.raises(KeyMissing):
        async with tenure.open_store(way.target):
            pass


async def test_what_was_begun_goes_on_there_and_is_done_once(way: Way) -> None:
    done: list[str] = []
    begun = trio.Event()

    def work(name: str) -> str:
        done.append(name)
        return name

    async def one_then_wait(run: tenure.Run) -> None:
        await run.step("one", work, "one", repeat="never")
        begun.set()
        await run.step("two", trio.sleep_forever, repeat="freely")

    async def one_then_two(run: tenure.Run) -> None:
        await run.step("one", work, "one", repeat="never")
        await run.step("two", work, "two", repeat="freely")

    async with tenure.open_supervisor(way.source, behaviours={"k": one_then_wait}, drain_s=0) as supervisor:
        runtime = await supervisor.spawn("ann", "k")
        await runtime.accept("go", idempotency_key="m-1")
        await runtime.accept("go", idempotency_key="m-2")
        token = runtime.fence_token
        await begun.wait()

    promotion = await way.go()

    async with tenure.open_supervisor(way.target, behaviours={"k": one_then_two}) as supervisor:
        for key in ("m-1", "m-2"):
            ticket = await supervisor.accept("ann", "go", kind="k", idempotency_key=key)
            assert ticket.deduplicated
            assert (await ticket.wait_outcome()).phase == "consumed"
        now = supervisor.runtime("ann").fence_token
        assert now is not None
        assert now > token + 2**31
    assert sorted(done) == ["one", "one", "two", "two"]  # of each input once
    assert promotion.last_fence_token > 2**32
    await sound(way.target)


@pytest.mark.slow
@pytest.mark.process
async def test_what_a_host_did_that_was_killed_goes_on_there_after_the_source_has_judged_it(way: Way) -> None:
    limits = tenure.Limits(lease_s=2.0, renew_s=0.25)
    async with child(way.source, {"lease_s": limits.lease_s, "renew_s": limits.renew_s}) as host:
        spawned = await host.ask("spawn a", "spawned")
        await host.ask("accept a wait", "step")
        await host.tell("accept a next")
        await host.ask("state a", "state")
        await host.kill()

    await promote(way.source, way.target, limits=limits)

    async def reader(run: tenure.Run) -> None:
        for entry in run.inputs:
            await run.step("read", str, entry.payload, repeat="freely")
            run.session.append(entry.payload)

    async with tenure.open_supervisor(way.target, behaviours={"reader": reader}) as supervisor:
        for key in ("wait", "next"):
            outcome = await (await supervisor.ticket("a", idempotency_key=key)).wait_outcome()
            assert outcome.phase == "consumed"
            assert outcome.receipt is not None
            assert outcome.receipt.fence_token > spawned["token"] + 2**31
        assert await supervisor.read_session("a") == ["wait", "next"]
    await sound(way.target)


async def test_the_verdict_of_a_group_is_the_same_there(way: Way) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
        await store.commit(message(store, "m-1"))
        incarnation = store.incarnation
    await way.go()

    async with tenure.open_store(way.target) as store:
        assert await store.verdict(incarnation, 2)
        assert not await store.verdict(incarnation, 20)
        assert await landed(store, "m-1") == ["m-1"]


async def test_a_host_that_opens_the_source_hears_where_it_went(way: Way) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
    await way.go()
    before = rows_of(way.source)

    for seams in (None, tenure.Seams(codec=AesGcm(ONE))):
        with pytest.raises(StorePromoted) as caught:
            async with tenure.open_store(way.source, seams=seams):
                pass
        assert caught.value.place == door_to(way.target).place
    with pytest.raises(StorePromoted):
        async with tenure.open_supervisor(way.source, behaviours={}):
            pass
    assert rows_of(way.source) == before
    await sound(way.source)  # a look still reads it


async def test_promoting_again_says_that_it_was_done(way: Way, tmp_path: Path) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
    first = await way.go()
    async with tenure.open_store(way.target) as store:
        await store.commit(message(store, "m-1"))
        again = await way.go()  # beside its hosts

    assert not first.was_done
    assert again.was_done
    assert again.logical_hash == first.logical_hash
    assert again.rows["inputs"] == 1
    with pytest.raises(StorePromoted):
        await promote(way.source, tmp_path / "third.db")
    assert not (tmp_path / "third.db").exists()


async def test_a_host_on_the_source_keeps_it(way: Way) -> None:
    limits = tenure.Limits(busy_s=0.1, lease_s=2.0, renew_s=0.2)
    async with tenure.open_store(way.source, limits=limits) as store:
        await own(store)
        with pytest.raises(StoreLocked):
            await promote(way.source, way.target, limits=limits)
        await store.commit(message(store, "m-1"))
    assert is_open(way.source)
    await way.go()


async def test_a_host_on_a_file_keeps_it_also_where_it_renews_nothing(tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "a.db", limits=tenure.Limits(lease_s=600.0, renew_s=200.0)):
        with pytest.raises(StoreLocked):
            await promote(
                tmp_path / "a.db", tmp_path / "b.db", limits=tenure.Limits(busy_s=0.1, lease_s=0.2, renew_s=0.1)
            )


async def test_no_host_opens_either_end_meanwhile(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
    reached, go_on = threading.Event(), threading.Event()
    pour = promoting.pour_rows

    def slow(*args: Any) -> None:
        reached.set()
        go_on.wait()
        pour(*args)

    monkeypatch.setattr(promoting, "pour_rows", slow)
    refusals: list[Error] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(way.go)
        await trio.to_thread.run_sync(reached.wait)
        for place in (way.source, way.target):
            with pytest.raises(Error) as caught:
                async with tenure.open_store(place, limits=tenure.Limits(busy_s=0.3)):
                    pass
            refusals.append(caught.value)
        with pytest.raises((StoreLocked, Contended)):
            await promote(way.source, way.target, limits=tenure.Limits(busy_s=0.3))  # a second one
        go_on.set()

    assert all(isinstance(each, StoreLocked | Contended | PromotionUnfinished) for each in refusals), refusals
    assert is_open(way.target)
    assert carried(rows_of(way.target)) == carried(rows_of(way.source))


@pytest.mark.postgres
async def test_the_keys_of_a_server_go_on_after_those_that_were_brought(url: str, filled: Path) -> None:
    await promote(filled, url)

    rows = rows_of(url)
    with psycopg.connect(url) as server:
        tables = [each for each in all_tables() if each.rises and rows.get(each.name)]
        assert {"inputs", "nodes", "receipts"} <= {each.name for each in tables}
        for table in tables:
            sequence = f"tenure.{table.name}_{table.key[0]}_seq"
            (last,) = server.execute(f"SELECT last_value FROM {sequence} WHERE is_called".encode()).fetchone() or (0,)
            place = [*table.columns].index(table.key[0])
            assert last >= max(row[place] for row in rows[table.name]) or table.name in NOT_CARRIED, table.name


@pytest.mark.postgres
async def test_a_host_that_was_frozen_meanwhile_writes_nothing_and_hears_where_it_went(
    url: str, tmp_path: Path
) -> None:
    # It renews nothing within the lease that the promotion waits for.
    async with tenure.open_store(url, limits=tenure.Limits(lease_s=600.0, renew_s=200.0)) as store:
        await own(store)
        await promote(url, tmp_path / "target.db", limits=tenure.Limits(lease_s=0.5, renew_s=0.1))

        with pytest.raises(StoreBroken) as caught:
            await store.commit(message(store, "m-1"))

    assert not caught.value.in_doubt
    assert str(tmp_path / "target.db") in caught.value.detail
    assert not rows_of(url)["inputs"]


async def test_nothing_is_written_over(way: Way, tmp_path: Path) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
    async with tenure.open_store(way.target) as store:
        await own(store, "b")
    before = rows_of(way.target)

    with pytest.raises(CannotOpen, match="already"):
        await way.go()

    assert rows_of(way.target) == before
    assert is_open(way.source)
    await promote(way.source, tmp_path / "free.db")


async def test_attachments_that_are_left_of_another_store_are_not_taken(tmp_path: Path, filled: Path) -> None:
    (tmp_path / "target.db-attachments").mkdir()
    (tmp_path / "target.db-attachments" / ("0" * 64)).write_bytes(b"another's")

    with pytest.raises(CannotOpen, match="attachments"):
        await promote(filled, tmp_path / "target.db")


async def test_what_is_no_store_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    (tmp_path / "text").write_text("hello" * 100)
    shutil.copy(Path(__file__).parents[3] / "fixtures" / "store-v1.db", tmp_path / "store.db")
    refusals: list[tuple[object, object, type[Error]]] = [
        (tmp_path / "none.db", target, CannotOpen),
        (tmp_path / "text", target, NotADatabase),
        (":memory:", target, InvalidInput),
        (tmp_path / "store.db", ":memory:", InvalidInput),
        (tmp_path / "store.db", tmp_path / "store.db", InvalidInput),
        (tmp_path / "store.db", "mysql://server", Unsupported),
    ]
    for source, goal, error in refusals:
        with pytest.raises(error):
            await promote(str(source), str(goal))
    assert not target.exists()
    assert is_open(str(tmp_path / "store.db"))


@pytest.mark.postgres
@pytest.mark.parametrize("at", ["pour_attachments", "pour_rows", "_check_equal"])
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_connections_that_are_cut_in_the_middle_leave_the_source_open(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, *, back: bool
) -> None:
    source, target = (url, str(tmp_path / "b.db")) if back else (str(tmp_path / "a.db"), url)
    async with tenure.open_store(source) as store:
        await own(store)
        await store.attachments.put("talk", b"one")
    function = getattr(promoting, at)

    def cut(*args: Any) -> None:
        postgres.end_sessions(url)
        function(*args)

    with monkeypatch.context() as patch:
        patch.setattr(promoting, at, cut)
        if is_last := (at == "_check_equal" and not back):  # the file is closed by then, and the server is asked again
            await promote(source, target)
        else:
            with pytest.raises(Contended):
                await promote(source, target)
            assert is_open(source)
    promotion = await promote(source, target)

    assert promotion.was_done is is_last
    assert (is_open(source), is_open(target)) == (False, True)
    assert carried(rows_of(target)) == carried(rows_of(source))
    assert bytes_of(target) == bytes_of(source)


@pytest.mark.postgres
async def test_a_store_moves_to_another_schema_of_its_server(url: str, filled: Path) -> None:
    other = f"{url}?schema=other"
    await promote(filled, url)
    await promote(url, other)

    assert (is_open(url), is_open(other)) == (False, True)
    assert carried(rows_of(other)) == carried(rows_of(str(filled)))
    await sound(other)


@pytest.mark.postgres
async def test_source_and_target_may_not_be_one_store_of_a_server(url: str) -> None:
    async with tenure.open_store(url) as store:
        await own(store)

    for same in (url, f"{url}?application_name=x", url.replace("127.0.0.1", "localhost")):
        with pytest.raises(InvalidInput):
            await promote(url, same)
    assert is_open(url)


def fail(*_args: object) -> None:
    raise ZeroDivisionError


async def interrupted(way: Way, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """Have a promotion fail where a function of it is called."""

    with monkeypatch.context() as patch:
        patch.setattr(promoting, at, fail)
        with pytest.raises(ZeroDivisionError):
            await way.go()


async def test_a_target_that_is_not_whole_is_opened_by_no_host_and_is_begun_anew(
    way: Way, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
        await store.attachments.put("talk", b"one")
    for at in ("pour_attachments", "pour_rows", "_check_equal"):
        await interrupted(way, monkeypatch, at)
        with pytest.raises(PromotionUnfinished) as caught:
            async with tenure.open_store(way.target, seams=tenure.Seams(codec=AesGcm(ONE))):
                pass
        assert caught.value.place == door_to(way.source).place
        async with tenure.open_store(way.source) as store:  # it goes on
            await store.commit(message(store, at))
            await store.attachments.put("talk", at.encode())
    async with tenure.open_store(tmp_path / "another.db") as store:
        await own(store)
    with pytest.raises(PromotionUnfinished):
        await promote(tmp_path / "another.db", way.target)
    with pytest.raises(PromotionUnfinished):
        await promote(way.target, tmp_path / "elsewhere.db")

    await way.go()

    assert carried(rows_of(way.target)) == carried(rows_of(way.source))
    assert bytes_of(way.target) == bytes_of(way.source)
    async with tenure.open_store(way.target) as store:
        assert await landed(store, "pour_attachments", "pour_rows", "_check_equal")


async def test_between_the_last_two_steps_neither_end_is_open_and_the_next_call_does_the_last(
    way: Way, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
        await store.attachments.put("talk", b"one")
    monkeypatch.setattr(promoting.Promoting, "_arrive", fail)
    with pytest.raises(ZeroDivisionError):
        await way.go()
    monkeypatch.undo()

    for place, error in ((way.source, StorePromoted), (way.target, PromotionUnfinished)):
        with pytest.raises(error):
            async with tenure.open_store(place):
                pass
    with pytest.raises(StorePromoted):
        await promote(way.source, tmp_path / "elsewhere.db")
    there = await way.go()

    assert not there.was_done
    assert (there.attachments, there.rows["runtimes"]) == (1, 1)
    assert is_open(way.target)
    assert carried(rows_of(way.target)) == carried(rows_of(way.source))


@asynccontextmanager
async def overtaken(way: Way, stands: threading.Event, go_on: threading.Event) -> AsyncGenerator[list[Promotion]]:
    """A call that stands still inside, and ends after it; and then what came of it."""
    later: list[Promotion] = []

    async def promote_later() -> None:
        later.append(await way.go())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(promote_later)
        await trio.to_thread.run_sync(stands.wait)
        try:
            yield later
        finally:
            go_on.set()


async def test_of_two_calls_at_once_the_later_hears_that_it_was_done(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
    looked, go_on = threading.Event(), threading.Event()
    glance = promoting.glance

    def slow(door: Door) -> Glance:
        seen = glance(door)
        if not looked.is_set():
            looked.set()
            go_on.wait()
        return seen

    monkeypatch.setattr(promoting, "glance", slow)

    async with overtaken(way, looked, go_on) as later:
        first = await way.go()

    assert later == [evolve(first, was_done=True, attachments=0, attachment_bytes=0)]


@pytest.mark.postgres
async def test_who_does_the_last_beside_another_call_leaves_what_came_since(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server alone: a file that one call has open is locked for the other."""
    way = Way(source=str(tmp_path / "a.db"), target=url)
    async with tenure.open_store(way.source) as store:
        await own(store)
    with monkeypatch.context() as patch:
        patch.setattr(promoting.Promoting, "_arrive", fail)
        with pytest.raises(ZeroDivisionError):
            await way.go()
    reached, go_on = threading.Event(), threading.Event()
    found = End.found

    def slow(target: End, between: Callable[[], None]) -> Any:
        if not reached.is_set():
            reached.set()
            go_on.wait()
        return found(target, between)

    monkeypatch.setattr(End, "found", slow)

    async with overtaken(way, reached, go_on) as later:
        assert not (await way.go()).was_done
        async with tenure.open_store(way.target) as store:
            await own(store, "new")

    assert [each.was_done for each in later] == [True]
    assert is_open(way.target)


async def test_an_older_copy_is_not_brought_over_what_the_source_that_is_closed_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, older, target = (tmp_path / name for name in ("a.db", "older.db", "b.db"))
    async with tenure.open_store(source) as store:
        await own(store)
    shutil.copy(source, older)
    async with tenure.open_store(source) as store:
        await store.state.set("a", b"later")
    monkeypatch.setattr(promoting.Promoting, "_arrive", fail)
    with pytest.raises(ZeroDivisionError):
        await promote(source, target)
    monkeypatch.undo()

    with pytest.raises(PromotionUnfinished):
        await promote(older, target)
    assert is_open(str(older))
    await promote(source, target)

    async with tenure.open_store(target) as store:
        assert await store.state.get("a") == b"later"


async def test_a_backup_in_the_place_of_the_source_is_not_brought_over_what_that_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, older, target = (tmp_path / name for name in ("a.db", "older.db", "b.db"))
    async with tenure.open_store(source) as store:
        await own(store)
    await back_up(source, older)
    async with tenure.open_store(source) as store:
        await store.state.set("a", b"later")
    monkeypatch.setattr(promoting.Promoting, "_arrive", fail)
    with pytest.raises(ZeroDivisionError):
        await promote(source, target)
    monkeypatch.undo()
    closed = moved(source, tmp_path / "closed.db")
    moved(older, source)

    with pytest.raises(CannotOpen, match="newer than the source"):
        await promote(source, target)
    assert is_open(str(source))
    moved(source, older)
    moved(closed, source)
    await promote(source, target)

    async with tenure.open_store(target) as store:
        assert await store.state.get("a") == b"later"


def moved(path: Path, to: Path) -> Path:
    """Rename the files of a store that no one has open; where they are now."""
    for each in path.parent.glob(f"{path.name}*"):
        each.rename(to.with_name(to.name + each.name.removeprefix(path.name)))
    return to


async def test_a_server_plans_by_the_rows_that_were_brought(url: str, filled: Path) -> None:
    await promote(filled, url)

    with psycopg.connect(url) as server:
        counted = server.execute(
            "SELECT relname, reltuples FROM pg_class WHERE relnamespace = 'tenure'::regnamespace AND relkind = 'r'"
        ).fetchall()
    rows = rows_of(url)
    assert {name: count for name, count in counted if name in rows} == {
        name: len(found) if name != "promotion" else 1 for name, found in rows.items()
    }


async def test_a_target_that_was_changed_between_the_last_two_steps_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tenure.open_store(tmp_path / "a.db") as store:
        await own(store)
    monkeypatch.setattr(promoting.Promoting, "_arrive", fail)
    with pytest.raises(ZeroDivisionError):
        await promote(tmp_path / "a.db", tmp_path / "b.db")
    monkeypatch.undo()
    database = apsw.Connection(str(tmp_path / "b.db"))
    database.execute("UPDATE runtimes SET crashes = crashes + 1")
    database.close()

    with pytest.raises(Corrupt, match="not what was read"):
        await promote(tmp_path / "a.db", tmp_path / "b.db")
    assert not is_open(str(tmp_path / "b.db"))


async def test_a_target_without_room_leaves_the_source_open(disk: Path, tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "a.db") as store:
        await own(store)
        for key in ("m-1", "m-2"):
            await store.commit(message(store, key, payload=b'"' + b"x" * 2_000_000 + b'"'))

    with pytest.raises(DiskFull):
        await promote(tmp_path / "a.db", disk / "b.db")

    async with tenure.open_store(tmp_path / "a.db") as store:
        assert await landed(store, "m-1", "m-2") == ["m-1", "m-2"]
    await promote(tmp_path / "a.db", tmp_path / "b.db")


async def test_an_attachment_that_is_not_what_the_source_has_is_brought_anew(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tenure.open_store(way.source) as store:
        await store.attachments.put("talk", b"one" * 1000)
        await store.attachments.put("talk", b"two" * 1000)
    names = sorted(bytes_of(way.source))
    await interrupted(way, monkeypatch, "pour_rows")
    engine = door_to(way.target).engine(None)
    engine.blobs.begin("spoilt")
    engine.blobs.write("spoilt", 0, b"spoilt")
    engine.blobs.replace("spoilt", names[0])
    engine.blobs.begin("stray")
    engine.blobs.keep("stray", "0" * 64)
    engine.blobs.begin("unfinished")
    engine.close()

    await way.go()

    assert bytes_of(way.target) == bytes_of(way.source)
    engine = door_to(way.target).engine(None)
    assert not engine.blobs.unfinished()
    engine.close()


async def test_what_does_not_arrive_is_found_before_the_source_is_closed(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
        await store.commit(message(store, "m-1"))

    def without_inputs(source: Any, target: WriteConnection, between: Any) -> None:
        pour(source, target, between)
        target.run("promotion.clear.inputs")

    pour = promoting.pour_rows
    with monkeypatch.context() as patch:
        patch.setattr(promoting, "pour_rows", without_inputs)
        with pytest.raises(Corrupt, match="not what was read"):
            await way.go()
    assert is_open(way.source)
    await way.go()


@pytest.mark.postgres
async def test_rows_that_a_server_cannot_store_are_named_before_anything_is_copied(url: str, tmp_path: Path) -> None:
    path, long = tmp_path / "agents.db", "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(1500))
    async with open_seen_store(path) as store:
        await own(store)
        await store.commit(message(store, "m-1"))
        await store.commit(message(store, "x" * 30_000))  # compresses well
        await store.commit(message(store, "m-3"))
        await execute(store, "UPDATE inputs SET error = ? WHERE idempotency_key = ?", "a\0b", "m-1")
        await execute(store, "UPDATE inputs SET idempotency_key = ? WHERE idempotency_key = ?", long, "m-3")

    with pytest.raises(InvalidInput) as caught:
        await promote(path, url)

    assert "inputs 1: a text with NUL" in caught.value.detail
    assert "inputs 3: " in caught.value.detail
    assert "inputs 2" not in caught.value.detail
    assert not any(rows_of(url).values())
    async with open_seen_store(path) as store:
        await execute(store, "UPDATE inputs SET error = NULL, idempotency_key = CAST(input AS TEXT) WHERE input <> 2")
    await promote(path, url)


@pytest.mark.postgres
async def test_values_at_the_ends_of_their_types_arrive_as_they_are(url: str, tmp_path: Path) -> None:
    numbers = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), 2.0**53 + 1, -1.5]
    texts = ["", "\U0010ffff", "\ufffe\uffff", "\x01\x1f\x7f\x80", "e\u0301", "'\";$1:name\\", "\r\n"]
    async with open_seen_store(tmp_path / "agents.db") as store:
        for at, (number, text) in enumerate(zip(numbers, texts, strict=True)):
            await execute(
                store,
                "INSERT INTO holds (hold, runtime_id, note, since) VALUES (?, ?, ?, ?)",
                *(2**63 - 1 - at, f"r-{at}", text, number),
            )
            await execute(
                store,
                "INSERT INTO requests (request, request_id, runtime, verb, arguments, host, created_at)"
                " VALUES (?, ?, ?, 'stop', ?, 0, 0.0)",
                *(-5 + at, f"q-{at}", -(2**63) if at else 2**63 - 1, text),
            )
    before = rows_of(str(tmp_path / "agents.db"))

    await promote(tmp_path / "agents.db", url)
    await promote(url, tmp_path / "back.db")

    assert carried(rows_of(url)) == carried(before)
    assert carried(rows_of(str(tmp_path / "back.db"))) == carried(before)


async def test_keys_that_were_given_once_are_not_given_again_there(way: Way, filled: Path) -> None:
    ((_, floor, *_),) = rows_of(str(filled))["node_floor"]
    database = apsw.Connection(str(filled))
    database.execute("DELETE FROM nodes WHERE node >= ?", (floor,))  # as a host that prunes leaves them
    database.close()
    await way.put(filled)
    await way.go()
    before = rows_of(way.target)

    async with open_seen_store(way.target) as store:
        await store.runtimes.commit_session_snapshot("new", delta("a", "b", session="talk of the new one"))
        after = {row[0] for row in await execute(store, "SELECT node FROM nodes")}

    known = {row[0] for row in before["nodes"]}
    assert floor > max(known)
    assert min(after - known) > floor


async def test_a_store_is_read_in_slices_of_a_bounded_size(
    way: Way, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "ROWS", 7)
    monkeypatch.setattr(walking, "SLICE_BYTES", 300)
    before, attached = rows_of(str(filled)), bytes_of(str(filled))
    seen: list[tuple[int, int]] = []
    slices = walking.slices

    def measured(*args: Any) -> Iterator[list[Row]]:
        for rows in slices(*args):
            size = sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))
            seen.append((len(rows), size))
            yield rows

    monkeypatch.setattr(walking, "slices", measured)
    await way.put(filled)
    await way.go()

    assert carried(rows_of(way.target)) == carried(before)
    assert bytes_of(way.target) == attached
    assert max(count for count, _ in seen) == 7
    assert all(count == 1 or size <= 300 for count, size in seen)


async def test_a_promotion_that_is_cancelled_leaves_the_source_open(
    way: Way, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await way.put(filled)
    reached = threading.Event()
    begin = LogicalHash.begin

    def slow(into: LogicalHash, table: Table) -> None:
        begin(into, table)
        if not reached.is_set():
            reached.set()
            time.sleep(0.3)

    with monkeypatch.context() as patch:
        patch.setattr(LogicalHash, "begin", slow)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(way.go)
            await trio.to_thread.run_sync(reached.wait)
            nursery.cancel_scope.cancel()

    assert is_open(way.source)
    async with tenure.open_store(way.source) as store:
        await own(store, "new")
    await way.go()


async def test_a_cancellation_after_the_source_is_closed_comes_when_all_is_done(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tenure.open_store(way.source) as store:
        await own(store)
    reached = threading.Event()
    check = promoting._check_equal  # pyright: ignore[reportPrivateUsage] - the last thing before it is closed

    def slow(target: End, found: str, expected: str) -> None:
        check(target, found, expected)
        reached.set()
        time.sleep(0.3)

    with monkeypatch.context() as patch:
        patch.setattr(promoting, "_check_equal", slow)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(way.go)
            await trio.to_thread.run_sync(reached.wait)
            nursery.cancel_scope.cancel()

    assert not is_open(way.source)
    assert is_open(way.target)
