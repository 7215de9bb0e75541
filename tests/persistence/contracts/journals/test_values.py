"""`store.state`: several keys in one commit, several in one view, and pages of a prefix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tenure import Limits, Seams, Store
from tenure.errors import Corrupt, InvalidInput, PayloadTooLarge, StaleFence, ValueConflict
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.state.values import WriteValues
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.journals.test_state import Clock
from tests.persistence.contracts.owners.owned import Owner


async def keys(store: Store, prefix: str, **terms: Any) -> list[str]:
    return [key for key, _ in await store.state.items(prefix, **terms)]


async def test_several_keys_are_written_in_one_commit(store: Store) -> None:
    await store.state.set("run:old", b"old")
    before = store.statistics()

    written = await store.state.write({"run:a": b"1", "run:b": b"", "run:old": None, "run:none": None})

    assert written == 3
    assert store.statistics().commits == before.commits + 1
    assert await store.state.items("run:") == [("run:a", b"1"), ("run:b", b"")]
    assert await store.state.write({}) == 0


async def test_many_keys_are_written_and_read_as_few_are(store: Store) -> None:
    odd = ["a:'\"\\", "a:\x01\x7f\u2028", "a:\n", "a:ä€😀", "a:[1]", "a:%"]
    kept = {key: key.encode() for key in (*odd, *[f"a:{number}" for number in range(100)])}
    assert await store.state.write(kept) == len(kept)

    # Replaced, deleted, new and not there, among one another: each as where it comes alone.
    changed: dict[str, bytes | None] = {key: None if at % 3 == 0 else b"changed" for at, key in enumerate(kept)}
    changed |= {f"a:new {number}": b"new" for number in range(20)} | {"a:none": None}
    assert await store.state.write(changed) == len(changed) - 1
    wanted = {key: value for key, value in changed.items() if value is not None}
    assert await store.state.get_all(changed) == wanted
    assert list(await store.state.get_all(reversed(changed))) == list(reversed(wanted)), "in the order of the question"

    assert await store.state.write(kept, keep=True) == len(kept) - len(wanted) + 20
    assert await store.state.get_all([*kept, *wanted]) == {**kept, **wanted}


async def test_what_is_refused_writes_none_of_its_keys(store: Store) -> None:
    large = bytes(store.limits.payload_bytes + 1)
    for values, error in (({"a": b"", "": b""}, InvalidInput), ({"a": b"", "b": large}, PayloadTooLarge)):
        with pytest.raises(error):
            await store.state.write(values)
    with pytest.raises(InvalidInput):
        await store.state.write({f"a{number}": b"" for number in range(10_001)})
    with pytest.raises(InvalidInput):
        await store.state.write({"a": b""}, 0)
    token = (await Owner(store, "ada").own()).fence_token
    await store.state.bind("bound", "ada", fence=token)

    with pytest.raises(StaleFence):
        await store.state.write({"a": b"", "bound:k": b""})
    with pytest.raises(InvalidInput):  # of keys that a token guards, and keys that none does
        await store.state.write({"bound:k": b"", "a": b""}, fence=token)
    assert await keys(store, "a") + await keys(store, "bound:") == []
    with pytest.raises(StaleFence):
        await store.state.renew(["bound:k"], 5)
    assert await store.state.write({"bound:j": b"", "bound:k": b""}, fence=token) == 2


async def test_a_write_may_leave_what_is_there(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        await store.state.set("a", b"first")
        await store.state.set("brief", b"first", ttl=10)

        assert await store.state.write({"a": b"second", "b": b"second", "brief": b"second"}, keep=True) == 1
        clock.now = 1_010.0
        assert await store.state.write({"a": b"third", "brief": b"third"}, keep=True) == 1

        assert await store.state.get_all(("a", "b", "brief")) == {"a": b"first", "b": b"second", "brief": b"third"}


async def test_a_write_may_expect_what_stands_there(tmp_path: Path) -> None:
    clock = Clock()
    async with open_seen_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        assert await store.state.write({"a": b"1", "b": b"1"}, expected={"a": None, "b": None}) == 2
        assert await store.state.write({"a": b"2"}, expected={"a": b"1", "b": b"1", "none": None}) == 1
        for expected in ({"a": b"1"}, {"a": None}, {"a": b""}, {"a": b"2", "b": b"2"}, {"none": b""}):
            with pytest.raises(ValueConflict) as caught:
                await store.state.write({"a": b"3", "c": b"3"}, expected=expected)
            assert caught.value.key == next(reversed(expected))
        with pytest.raises(ValueConflict):  # it may write nothing, and is asked all the same
            await store.state.write({}, expected={"a": b"1"})
        assert await store.state.write({}, expected={"a": b"2"}) == 0
        assert await store.state.get_all(("a", "b", "c")) == {"a": b"2", "b": b"1"}

        await store.state.set("brief", b"1", ttl=10)
        clock.now = 1_010.0
        with pytest.raises(ValueConflict):
            await store.state.write({"a": b"3"}, expected={"brief": b"1"})
        assert await store.state.write({"brief": b"2"}, expected={"brief": None}) == 1
        with pytest.raises(InvalidInput):
            await store.state.write({}, expected={str(number): None for number in range(1_001)})
        with pytest.raises(InvalidInput):
            await store.state.write({"a": b"3"}, expected={"": None})
        await execute(store, "UPDATE state_values SET value = x'00' WHERE value_key = 'b'")
        with pytest.raises(Corrupt):
            await store.state.write({"a": b"3"}, expected={"b": b"1"})
        assert await store.state.get("a") == b"2"


async def test_many_keys_may_be_expected_to_have_no_value(tmp_path: Path) -> None:
    clock = Clock()
    new = [f"new {number}" for number in range(40)]
    async with open_seen_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        await store.state.set("brief", b"1", ttl=10)
        await store.state.set("there", b"1")
        with pytest.raises(ValueConflict, match="brief"):
            await store.state.write(dict.fromkeys(new, b"2"), expected=dict.fromkeys([*new, "brief"]))
        clock.now = 1_010.0  # what has expired is not there, though its row is
        written = dict.fromkeys([*new, "brief", "none"], b"2") | {"none": None}
        assert await store.state.write(written, expected=dict.fromkeys(written)) == 41
        assert await store.state.get_all(written) == dict.fromkeys([*new, "brief"], b"2")
        with pytest.raises(ValueConflict, match="there"):
            await store.state.write({"more": b"3"}, expected=dict.fromkeys(["a", "b", "c", "there", "d"]))
        assert await store.state.get("more") is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"a": b"2", "b": b"2"}, ["a", "there"]),  # as many keys, and others
        ({"a": b"2", "there": b"2"}, ["there", "a"]),
        ({"a": b"2", "there": None}, ["a", "there"]),  # a delete inserts nothing that would find the row
        ({"there": b"2"}, ["there"]),
        ({"a": b"2"}, ["a", "there"]),
    ],
)
async def test_what_is_written_may_not_be_what_is_expected_to_be_new(
    store: Store, values: dict[str, bytes | None], expected: list[str]
) -> None:
    await store.state.write({"there": b"1", "gone": b"1"})

    with pytest.raises(ValueConflict, match="there"):  # once a store: after that it looks for rows
        await store.state.write(values, expected=dict.fromkeys(expected))
    assert await store.state.write({"a": b"2", "there": b"2"}, expected={"a": None}) == 2
    assert await store.state.write({"b": b"2", "gone": None}, expected={"b": None, "gone": b"1"}) == 2
    assert await store.state.write({"c": None, "d": b""}, expected={"c": None, "d": None}) == 1
    keys = ("a", "b", "c", "d", "there", "gone")
    assert await store.state.get_all(keys) == {"a": b"2", "b": b"2", "d": b"", "there": b"2"}


@pytest.mark.parametrize("key", ["", "k" * 501])
async def test_a_key_of_many_that_is_none_is_refused(store: Store, key: str) -> None:
    with pytest.raises(InvalidInput, match="key"):
        await store.state.write({"a": b"1", key: b"1", "b": b"1"})
    assert await store.state.get("a") is None
    assert await store.state.write({"k" * 500: b"1", "a": b"1"}) == 2


async def test_a_commit_that_writes_a_key_twice_finds_it_the_second_time(store: Store) -> None:
    keys = [str(number) for number in range(5)]
    twice = [
        WriteValues(values=tuple([(key, value) for key in keys]), expected=tuple([(key, None) for key in keys]))
        for value in (b"1", b"2")
    ]

    result = await store.commit(Commit(changes=tuple(twice)))  # what is expected is asked before anything is written

    assert result.values == (5, 5)
    assert await store.state.get_all(keys) == dict.fromkeys(keys, b"2")


async def test_of_writers_that_expect_the_same_one_lands(store: Store) -> None:
    landed: list[int] = []

    async def count(number: int) -> None:
        try:
            await store.state.write({"a": bytes([number])}, expected={"a": None})
        except ValueConflict:
            return
        landed.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(count, number)

    assert len(landed) == 1
    assert await store.state.get("a") == bytes(landed)


async def test_several_keys_are_read_as_they_stood_at_one_moment(store: Store) -> None:
    await store.state.write({"a": b"1", "b": b"2", "c": b"3"})

    assert await store.state.get_all(["c", "a", "c", "none"]) == {"c": b"3", "a": b"1"}
    assert await store.state.get_all([]) == {}
    with pytest.raises(InvalidInput):
        await store.state.get_all(["a", ""])
    with pytest.raises(InvalidInput):
        await store.state.get_all([str(number) for number in range(1_001)])


async def test_pages_of_a_prefix_hold_its_keys_in_order(store: Store) -> None:
    inside = ["p", "p:", "p:a", "p:aa", "p:b", "p\U0010ffff"]
    await store.state.write(dict.fromkeys([*inside, "o", "q", "P", "op"], b""))

    assert await keys(store, "p") == inside
    assert await keys(store, "p", reverse=True) == inside[::-1]
    assert await keys(store, "p:a") == ["p:a", "p:aa"]
    assert await keys(store, "p", limit=2) == inside[:2]
    assert await keys(store, "p", after="p:", limit=2) == inside[2:4]
    assert await keys(store, "p", after="p:aZ") == inside[3:]
    assert await keys(store, "p", after="p:b", limit=2, reverse=True) == ["p:aa", "p:a"]
    assert await keys(store, "none") == []


@pytest.mark.parametrize("prefix", ["a\ud7ff", "a\U0010ffff", "\U0010ffff", "a\U0010ffff\U0010ffff", "é"], ids=ascii)
async def test_the_end_of_a_prefix_is_found(store: Store, prefix: str) -> None:
    inside = [prefix, f"{prefix}a", f"{prefix}\U0010ffff"]
    await store.state.write(dict.fromkeys([*inside, "a", "b", "\ue000", "a\ue000", "ê"], b""))

    assert await keys(store, prefix) == inside


@pytest.mark.parametrize(
    "terms", [{"limit": 0}, {"limit": 1_001}, {"after": "b"}, {"after": "a\0"}, {"prefix": ""}, {"prefix": "a" * 501}]
)
async def test_a_page_that_makes_no_sense_is_refused(store: Store, terms: dict[str, Any]) -> None:
    wanted: dict[str, Any] = {"prefix": "a", **terms}

    with pytest.raises(InvalidInput):
        await store.state.items(**wanted)


async def test_expired_values_are_skipped_and_never_come_back(tmp_path: Path) -> None:
    clock = Clock()
    async with open_seen_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        await store.state.write({f"k{number}": b"" for number in range(0, 10, 2)}, ttl=10)
        await store.state.write({f"k{number}": b"" for number in range(1, 10, 2)})
        clock.now = 1_010.0

        assert await keys(store, "k", limit=3) == ["k1", "k3", "k5"]
        assert await execute(
            store, "SELECT value_key FROM state_values WHERE deadline IS NOT NULL ORDER BY value_key"
        ) == [
            ("k6",),
            ("k8",),
        ]
        assert await store.state.get_all(["k6", "k7"]) == {"k7": b""}

        clock.now = 500.0  # set back

        assert await keys(store, "k", reverse=True) == ["k9", "k7", "k5", "k3", "k1"]
        assert await store.state.sweep() == 0


async def test_many_expired_values_are_deleted_in_commits_of_a_bounded_size(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        for at in range(3):
            await store.state.write({f"k{number}": b"" for number in range(at * 4_000, (at + 1) * 4_000)}, ttl=10)
        clock.now = 1_010.0
        before = store.statistics().commits

        assert await store.state.items("k") == []

        assert store.statistics().commits == before + 2
        assert await store.state.sweep() == 0


async def test_values_are_renewed_and_none_is_brought_back(tmp_path: Path) -> None:
    clock = Clock()
    async with open_seen_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        await store.state.write({"a": b"1", "b": b"2", "gone": b"3"}, ttl=10)
        await store.state.set("stays", b"4")
        clock.now = 1_009.0
        assert await store.state.renew(["a", "stays", "none", "a"], 100) == 2
        assert await store.state.renew(["a"], 1) == 1  # never for a shorter time
        assert await store.state.renew(["b"], None) == 1
        clock.now = 1_010.0
        assert await store.state.renew(["gone"], 100) == 0
        assert await store.state.renew([], 1) == 0

        assert await store.state.get_all(["a", "b", "gone", "stays"]) == {"a": b"1", "b": b"2", "stays": b"4"}
        clock.now = 1_109.0
        assert await store.state.get_all(["a", "b", "stays"]) == {"b": b"2", "stays": b"4"}

        with pytest.raises(InvalidInput):
            await store.state.renew(["b"], 0)
        await execute(store, "UPDATE state_values SET value = x'00' WHERE value_key = 'b'")
        with pytest.raises(Corrupt):
            await store.state.renew(["b"], 5)


async def test_a_damaged_value_of_a_page_is_said(store: Store) -> None:
    await store.state.write({"a": b"1", "b": b"2"})
    await execute(store, "UPDATE state_values SET value = x'00' WHERE value_key = 'b'")

    assert await keys(store, "a") == ["a"]
    with pytest.raises(Corrupt):
        await store.state.items("b")
    with pytest.raises(Corrupt):
        await store.state.get_all(["a", "b"])


async def test_a_value_may_be_as_large_as_a_payload() -> None:
    async with tenure.open_store(":memory:", limits=Limits(payload_bytes=10)) as store:
        await store.state.write({"a": bytes(10), "b": bytes(10)})

        assert len(await store.state.items("a")) == 1
