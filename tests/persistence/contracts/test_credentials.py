"""Credentials: one snapshot for the store, in one transaction, and never shown."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tenure import RuntimeState, Store
from tenure.errors import Corrupt, InvalidInput, PayloadTooLarge
from tenure.persistence.facets.credentials import Computed, PersistFlow, SwapFlow
from tests.persistence.contracts.damage import execute

SECRET = b"hunter2-refresh-token"


async def test_the_last_snapshot_is_the_one_that_is_there(store: Store) -> None:
    assert await store.credentials.load_auth_oauth_flow_snapshot() is None

    await store.credentials.persist_auth_oauth_flow_snapshot(b"1")
    await store.credentials.persist_auth_oauth_flow_snapshot(b"2")

    assert await store.credentials.load_auth_oauth_flow_snapshot() == b"2"


async def test_an_update_sees_what_is_stored_and_writes_what_it_returns(store: Store) -> None:
    seen: list[bytes | None] = []

    def update(current: bytes | None) -> bytes:
        seen.append(current)
        return (current or b"") + b"x"

    for _ in range(3):
        await store.credentials.update_auth_oauth_flow_snapshot(update)

    assert seen == [None, b"x", b"xx"]
    assert await store.credentials.load_auth_oauth_flow_snapshot() == b"xxx"


async def test_updates_that_run_at_once_lose_nothing(store: Store) -> None:
    def update(current: bytes | None) -> bytes:
        return str(int(current or b"0") + 1).encode()

    async with trio.open_nursery() as nursery:
        for index in range(20):
            nursery.start_soon(store.credentials.update_auth_oauth_flow_snapshot, update)
            nursery.start_soon(store.runtimes.persist_runtime_state, f"runtime-{index}", RuntimeState.IDLE)

    assert await store.credentials.load_auth_oauth_flow_snapshot() == b"20"


async def test_an_update_that_takes_its_time_keeps_no_commit_waiting_and_can_be_left(store: Store) -> None:
    entered, end = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def update(_current: bytes | None) -> bytes:
        token.run_sync_soon(entered.set)
        end.wait(30)
        return b"late"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.credentials.update_auth_oauth_flow_snapshot, update)
        await entered.wait()
        with trio.fail_after(5):
            await store.credentials.persist_auth_oauth_flow_snapshot(b"meanwhile")
            assert await store.credentials.load_auth_oauth_flow_snapshot() == b"meanwhile"
        nursery.cancel_scope.cancel()
    end.set()

    await store.credentials.update_auth_oauth_flow_snapshot(lambda current: (current or b"") + b", and on")
    assert await store.credentials.load_auth_oauth_flow_snapshot() == b"meanwhile, and on"


async def test_updates_of_two_hosts_at_once_lose_nothing(tmp_path: Path) -> None:
    def update(current: bytes | None) -> bytes:
        return str(int(current or b"0") + 1).encode()

    async def update_often(store: Store) -> None:
        for _ in range(20):
            await store.credentials.update_auth_oauth_flow_snapshot(update)

    target = tmp_path / "agents.db"
    async with tenure.open_store(target) as one, tenure.open_store(target) as other:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(update_often, one)
            nursery.start_soon(update_often, other)

        assert await one.credentials.load_auth_oauth_flow_snapshot() == b"40"


@pytest.mark.parametrize("first", [None, b"0"])
async def test_an_update_begins_again_where_another_has_written_meanwhile(store: Store, first: bytes | None) -> None:
    if first is not None:
        await store.credentials.persist_auth_oauth_flow_snapshot(first)
    seen: list[bytes | None] = []
    token = trio.lowlevel.current_trio_token()

    def update(current: bytes | None) -> bytes:
        seen.append(current)
        if len(seen) == 1:
            trio.from_thread.run(store.credentials.persist_auth_oauth_flow_snapshot, b"another host", trio_token=token)
        return (current or b"") + b"!"

    await store.credentials.update_auth_oauth_flow_snapshot(update)

    assert seen == [first, b"another host"]
    assert await store.credentials.load_auth_oauth_flow_snapshot() == b"another host!"


class Refused(Exception):
    """An error of the caller's own."""


async def test_an_update_within_an_update_is_refused_and_does_not_wait_for_itself(store: Store) -> None:
    token = trio.lowlevel.current_trio_token()
    update = store.credentials.update_auth_oauth_flow_snapshot
    later: list[bytes | None] = []

    def inner(current: bytes | None) -> bytes:
        later.append(current)
        return b"inner"

    def outer(current: bytes | None) -> bytes:
        trio.from_thread.run(update, inner, trio_token=token)
        return b"outer"

    with trio.fail_after(5), pytest.raises(InvalidInput, match="cannot ask for another"):
        await update(outer)
    assert await store.credentials.load_auth_oauth_flow_snapshot() is None

    async def starts_one_after_it() -> None:
        async with trio.open_nursery() as nursery:

            async def after(ended: trio.Event) -> None:
                await ended.wait()
                await update(inner)

            ended = trio.Event()

            def starting(current: bytes | None) -> bytes:
                trio.from_thread.run_sync(nursery.start_soon, after, ended, trio_token=token)
                return b"started"

            await update(starting)
            ended.set()

    await starts_one_after_it()
    assert later == [b"started"], "what an update has started may ask for one once that update has ended"


async def test_an_error_of_the_update_comes_back_as_it_is_and_nothing_is_written(store: Store) -> None:
    await store.credentials.persist_auth_oauth_flow_snapshot(SECRET)
    error = Refused("no")
    groups = store.statistics().groups

    def update(_current: bytes | None) -> bytes:
        raise error

    with pytest.raises(Refused) as caught:
        await store.credentials.update_auth_oauth_flow_snapshot(update)

    assert caught.value is error
    assert store.statistics().groups == groups
    assert await store.credentials.load_auth_oauth_flow_snapshot() == SECRET


async def test_an_update_that_is_async_or_returns_no_bytes_is_refused(store: Store) -> None:
    async def later(_current: bytes | None) -> bytes:
        return b"x"

    def text(_current: bytes | None) -> str:
        return "x"

    wrong: Any
    for wrong in (later, text):
        with pytest.raises(InvalidInput):
            await store.credentials.update_auth_oauth_flow_snapshot(wrong)

    assert await store.credentials.load_auth_oauth_flow_snapshot() is None


async def test_an_update_cannot_call_the_store(store: Store) -> None:
    def update(_current: bytes | None) -> bytes:
        trio.from_thread.run(store.credentials.load_auth_oauth_flow_snapshot)
        return b"x"

    with trio.fail_after(10), pytest.raises(RuntimeError):
        await store.credentials.update_auth_oauth_flow_snapshot(update)

    assert await store.credentials.load_auth_oauth_flow_snapshot() is None


async def test_a_snapshot_over_the_limit_is_refused(store: Store) -> None:
    huge = bytes(store.limits.payload_bytes + 1)

    with pytest.raises(PayloadTooLarge):
        await store.credentials.persist_auth_oauth_flow_snapshot(huge)
    with pytest.raises(PayloadTooLarge):
        await store.credentials.update_auth_oauth_flow_snapshot(lambda _: huge)


@pytest.mark.sqlite("a text in a column of bytes")
async def test_no_secret_is_shown(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def leak(current: bytes | None) -> bytes:
        raise ValueError((current or b"").decode())

    with caplog.at_level(logging.DEBUG):
        await store.credentials.persist_auth_oauth_flow_snapshot(SECRET)
        with pytest.raises(ValueError, match="hunter2"):  # the caller's own error is the caller's
            await store.credentials.update_auth_oauth_flow_snapshot(leak)
        with pytest.raises(InvalidInput) as refused:
            await store.credentials.update_auth_oauth_flow_snapshot(lambda current: (current or b"").decode())  # type: ignore[arg-type, return-value]
        await execute(store, "UPDATE oauth_flow SET snapshot = CAST(snapshot AS TEXT)")
        with pytest.raises(Corrupt) as corrupt:
            await store.credentials.load_auth_oauth_flow_snapshot()

    shown = [
        caplog.text,
        repr(refused.value),
        str(refused.value),
        repr(corrupt.value),
        str(corrupt.value),
        repr(PersistFlow(snapshot=SECRET)),
        repr(SwapFlow(before=SECRET, snapshot=SECRET)),
        repr(Computed(snapshot=SECRET, error=ValueError(SECRET.decode()))),
        repr(store.credentials),
    ]
    assert not [text for text in shown if "hunter2" in text]


@pytest.mark.sqlite("names of files")
async def test_handles_of_one_file_share_an_authority_and_memory_has_none(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".." / "agents.db"
    (tmp_path / "folder").mkdir()
    async with tenure.open_store(path) as one, tenure.open_store(f"sqlite:///{tmp_path}/agents.db") as two:
        assert one.credentials.auth_authority_key() == two.credentials.auth_authority_key()
        assert one.credentials.auth_authority_key() == f"sqlite:{(tmp_path / 'agents.db').resolve()}"
    async with tenure.open_store(":memory:") as store:
        assert store.credentials.auth_authority_key() is None
