"""The record of a run against what is asked for: pure decisions, without a host, a store or a clock."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tenure.errors import InvalidInput
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.model.entries import EntryKind, EntryStatus, Repeat
from tenure.supervisor.runs.recording.asked import Asked, Differs, Found, has_ended, list_entries
from tenure.supervisor.runs.recording.branch import Branch
from tenure.supervisor.runs.recording.matching import Record


def digest(arguments: str) -> bytes:
    return hashlib.sha256(arguments.encode()).digest()


def entry(place: str, name: str = "step", arguments: str = "a", **more: Any) -> RecordedEntry:
    fields: dict[str, Any] = {
        "kind": EntryKind.STEP,
        "repeat": Repeat.FREELY,
        "call_key": None,
        "status": EntryStatus.SUCCEEDED,
        "attempt": 1,
        "version": "1",
        "result": b"1",
        "error": None,
        "started_at": 0.0,
        "ended_at": 1.0,
        "next_at": None,
    }
    return RecordedEntry(place=place, name=name, arguments_digest=digest(arguments), **(fields | more))


def asked(name: str = "step", arguments: str = "a", **more: Any) -> Asked:
    fields: dict[str, Any] = {"kind": EntryKind.STEP, "name": name, "arguments": digest(arguments)}
    return Asked(**(fields | more))


def record(*entries: RecordedEntry, version: str = "1", take_recorded: bool = False) -> Record:
    return Record(entries, version, take_recorded=take_recorded)


def places(found: Record, branch: Branch, *all_asked: Asked) -> list[str]:
    return [found.ask(branch, each).place for each in all_asked]


# Order


def test_the_nth_thing_asked_for_is_the_nth_recorded_and_what_comes_after_is_new() -> None:
    first, second = entry("main/1", "a"), entry("main/2", "b")
    of_run = record(first, second)

    found = [of_run.ask(of_run.main, asked(name)) for name in "abc"]

    assert found == [
        Found(place="main/1", entry=first),
        Found(place="main/2", entry=second),
        Found(place="main/3", entry=None),
    ]
    assert not of_run.unreached


@pytest.mark.parametrize(
    "other",
    [
        asked("other"),
        asked(repeat=Repeat.KEYED),
        asked(kind=EntryKind.SLEEP, name="sleep"),
        asked(arguments="other"),
    ],
)
def test_another_name_repeat_kind_or_argument_differs_and_changes_nothing(other: Asked) -> None:
    of_run = record(entry("main/1"))

    with pytest.raises(Differs) as raised:
        of_run.ask(of_run.main, other)

    assert (raised.value.place, raised.value.given) == ("main/1", str(other))
    assert list(of_run.unreached) == ["main/1"]
    assert of_run.ask(of_run.main, asked()).place == "main/1"


def test_two_things_of_one_branch_at_once_are_refused_and_calls_are_not() -> None:
    of_run = record()
    of_run.main.in_flight = "step first"

    with pytest.raises(InvalidInput, match="step first is in flight"):
        of_run.ask(of_run.main, asked())
    assert of_run.ask(of_run.main, asked(call="c")).place == "#c"


# Arguments and versions


@pytest.mark.parametrize(("version", "differs"), [("1", True), ("2", False), ("", False)])
def test_arguments_of_what_has_ended_are_compared_under_its_version_alone(version: str, *, differs: bool) -> None:
    of_run = record(entry("main/1"), version=version)
    if differs:
        with pytest.raises(Differs):
            of_run.ask(of_run.main, asked(arguments="b"))
    else:
        assert of_run.ask(of_run.main, asked(arguments="b")).entry is not None


def test_arguments_that_stand_recorded_at_another_place_are_a_shift_under_every_version() -> None:
    of_run = record(entry("main/1", arguments="a"), entry("main/2", arguments="b"), version="2")

    with pytest.raises(Differs):
        of_run.ask(of_run.main, asked(arguments="b"))


def test_with_take_recorded_no_arguments_of_what_has_ended_are_compared() -> None:
    of_run = record(entry("main/1", arguments="a"), entry("main/2", arguments="b"), take_recorded=True)

    assert places(of_run, of_run.main, asked(arguments="b"), asked(arguments="c")) == ["main/1", "main/2"]


@pytest.mark.parametrize("repeat", [Repeat.KEYED, Repeat.NEVER])
@pytest.mark.parametrize("take_recorded", [False, True])
def test_what_must_not_be_done_twice_and_has_not_ended_has_its_arguments_under_every_version(
    repeat: Repeat, *, take_recorded: bool
) -> None:
    dispatched = entry("main/1", repeat=repeat, status=EntryStatus.DISPATCHED, result=None, ended_at=None)
    of_run = record(dispatched, version="2", take_recorded=take_recorded)

    with pytest.raises(Differs):
        of_run.ask(of_run.main, asked(arguments="b", repeat=repeat))
    assert of_run.ask(of_run.main, asked(arguments="b", repeat=repeat, compare=False)).entry == dispatched


# What is no entry of the order


def test_a_freely_step_that_failed_and_that_nothing_stands_on_makes_room_for_another() -> None:
    of_run = record(entry("main/1", status=EntryStatus.FAILED, result=None, error="broken"))

    assert of_run.ask(of_run.main, asked("the fix")) == Found(place="main/1", entry=None)


def test_a_step_that_tries_again_by_itself_goes_on_where_the_same_is_asked_for() -> None:
    tried = entry("main/1", status=EntryStatus.RETRYING, attempt=2, result=None)
    of_run = record(tried)

    assert of_run.tried("main/1", asked()) == tried
    assert of_run.tried("main/1", asked("the fix")) is None
    assert of_run.tried("main/2", asked()) is None


def test_a_mark_is_found_by_its_name_and_does_not_count_in_the_order() -> None:
    mark = entry("?new way", "new way", kind=EntryKind.PATCH)
    of_run = record(mark, entry("main/1"))

    assert of_run.marks == {"new way": mark}
    assert list(of_run.unreached) == ["main/1"]
    of_run.ask(of_run.main, asked())
    of_run.end(of_run.main)


# Calls


def test_a_call_is_found_by_its_id_in_whatever_order_and_once() -> None:
    of_run = record(entry("#one", "a"), entry("#two", "b"))

    assert places(of_run, of_run.main, asked("b", call="two"), asked("a", call="one")) == ["#two", "#one"]
    with pytest.raises(InvalidInput, match="one was used before"):
        of_run.ask(of_run.main, asked("a", call="one"))


def test_a_call_with_another_name_differs() -> None:
    of_run = record(entry("#one", "a"))

    with pytest.raises(Differs):
        of_run.ask(of_run.main, asked("b", call="one"))


# What a restart carried over


def test_what_was_carried_over_is_found_by_name_and_arguments_the_nth_of_equals() -> None:
    never = {"repeat": Repeat.NEVER}
    first, second = entry("^main/1", "pay", **never), entry("^main/2", "pay", **never)
    of_run = record(first, second)

    found = [of_run.ask(of_run.main, asked("pay", **never)) for _ in range(3)]

    assert found == [
        Found(place="^main/1", entry=first),
        Found(place="^main/2", entry=second),
        Found(place="main/1", entry=None),
    ]


def test_what_was_carried_over_is_not_found_by_its_name_alone_and_stays_unreached() -> None:
    of_run = record(entry("^main/1", "pay", repeat=Repeat.NEVER))

    assert of_run.ask(of_run.main, asked("pay", "other", repeat=Repeat.NEVER)).entry is None
    assert list(of_run.unreached) == ["^main/1"]
    assert of_run.is_replay(of_run.main)
    with pytest.raises(Differs):
        of_run.ask(of_run.main, asked("pay", repeat=Repeat.KEYED))


# Branches and ends


def test_a_branch_has_an_order_of_its_own_and_may_not_return_before_its_end() -> None:
    gather = asked("gather", kind=EntryKind.GATHER)
    of_run = record(
        entry("main/1", "gather", kind=EntryKind.GATHER), entry("main/1.1/1", "a"), entry("main/1.2/1", "b")
    )
    of_run.ask(of_run.main, gather)
    one, two = of_run.main.inner("main/1.1"), of_run.main.inner("main/1.2")

    with pytest.raises(Differs, match=r"main/1\.1/1"):
        of_run.end(one)
    assert places(of_run, two, asked("b")) == ["main/1.2/1"]
    assert places(of_run, one, asked("a")) == ["main/1.1/1"]
    for branch in (one, two, of_run.main):
        of_run.end(branch)


@pytest.mark.parametrize("open_ended", [False, True])
def test_a_branch_asks_for_nothing_after_its_recorded_end_unless_it_is_an_item_of_a_map(*, open_ended: bool) -> None:
    of_run = record(entry("main/1", "gather", kind=EntryKind.GATHER), entry("main/2"))
    of_run.ask(of_run.main, asked("gather", kind=EntryKind.GATHER))
    branch = of_run.main.inner("main/1.1", open_ended=open_ended)

    if open_ended:
        assert of_run.ask(branch, asked()).place == "main/1.1/1"
    else:
        with pytest.raises(Differs, match="the end of the branch"):
            of_run.ask(branch, asked())


def test_the_number_of_branches_is_compared_under_every_version() -> None:
    of_run = record(entry("main/1", "gather", kind=EntryKind.GATHER), version="2")

    with pytest.raises(Differs):
        of_run.ask(of_run.main, asked("gather", "other", kind=EntryKind.GATHER))


def test_what_is_passed_over_counts_as_reached_in_its_branch_and_those_inside() -> None:
    of_run = record(
        entry("main/1", "first", kind=EntryKind.FIRST),
        entry("main/1.1/1"),
        entry("main/1.1/1.2/1"),
        entry("main/1.10/1"),
    )
    of_run.ask(of_run.main, asked("first", kind=EntryKind.FIRST))
    of_run.pass_over("main/1.1")

    assert list(of_run.unreached) == ["main/1.10/1"]


def test_replay_is_while_something_of_the_branch_or_of_one_around_it_is_unreached() -> None:
    of_run = record(entry("main/1", "gather", kind=EntryKind.GATHER), entry("main/1.1/1"), entry("main/2"))
    of_run.ask(of_run.main, asked("gather", kind=EntryKind.GATHER))
    inner = of_run.main.inner("main/1.1")
    assert of_run.is_replay(inner)
    of_run.ask(inner, asked())
    assert of_run.is_replay(inner)
    of_run.ask(of_run.main, asked())
    assert not of_run.is_replay(of_run.main)


def test_a_branch_around_takes_over_what_was_given_inside_unless_it_was_lost() -> None:
    of_run = record()
    kept, lost = of_run.main.inner("main/1.1"), of_run.main.inner("main/1.2")
    for branch in (kept, lost):
        branch.appended.append(branch.path.encode())
        branch.failed[branch.path] = None
    of_run.main.take_over(lost, keeps=False)
    of_run.main.take_over(kept)

    assert of_run.main.appended == [b"main/1.1"]
    assert {*of_run.main.failed} == {"main/1.1", "main/1.2"}


def test_times_are_drawn_again_with_what_was_asked_for_after_them() -> None:
    of_run = record(entry("main/1", drawn=(1.0, 2.0)))

    assert of_run.drawn_before_next(of_run.main) == (1.0, 2.0)
    of_run.ask(of_run.main, asked())
    assert of_run.drawn_before_next(of_run.main) == ()


# For people


@pytest.mark.parametrize(
    ("status", "repeat", "ended"),
    [
        (EntryStatus.SUCCEEDED, Repeat.FREELY, True),
        (EntryStatus.CAUGHT, Repeat.KEYED, True),
        (EntryStatus.CANCELLED, Repeat.NEVER, True),
        (EntryStatus.FAILED, Repeat.NEVER, True),
        (EntryStatus.FAILED, Repeat.KEYED, False),
        (EntryStatus.DISPATCHED, Repeat.NEVER, False),
        (EntryStatus.IN_DOUBT, Repeat.NEVER, False),
        (EntryStatus.RETRYING, Repeat.FREELY, False),
    ],
)
def test_what_has_ended_executes_nothing_any_more(status: EntryStatus, repeat: Repeat, *, ended: bool) -> None:
    assert has_ended(entry("main/1", status=status, repeat=repeat)) is ended


def test_entries_are_listed_with_their_places_and_the_first_digits_of_their_arguments() -> None:
    text = list_entries([entry(f"main/{number}", "pay") for number in range(1, 8)])

    assert text.startswith(f"step pay, freely, with arguments {digest('a').hex()[:16]} at main/1; ")
    assert text.endswith("at main/5; and 2 more")
