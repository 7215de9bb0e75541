"""When hints may be given, whom a group concerns, and what is known of those who wait: without a store."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, strategies as st

from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.listeners import NOWHERE
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.ownership.ownership import CloseHost, TakeOwnership
from tenure.persistence.facets.ownership.requests import FinishRequest
from tenure.persistence.model.codec import digest
from tenure.persistence.model.values import InputId, SessionId
from tenure.persistence.writing.hinting.awaiting import AWAITS_S, MOST, RECENT_S, Awaiting
from tenure.persistence.writing.hinting.concerns import concerned
from tenure.persistence.writing.hinting.pace import ALL, GAP_S, GAP_TO_ALL_S, MOST_AWAITED, MOST_TARGETS, Pace
from tests.kit.stores import name


def accept(runtime_id: str) -> Commit:
    change = AcceptInput(
        runtime_id=name(runtime_id),
        input_id=InputId("i"),
        idempotency_key=None,
        payload=b"1",
        payload_digest=digest(b"1"),
    )
    return Commit(changes=(change,))


def take(runtime_id: str) -> Commit:
    change = TakeOwnership(runtime_id=name(runtime_id), kind="k", epoch="e", session_id=SessionId("s"))
    return Commit(changes=(change,))


@given(st.lists(st.tuples(st.sampled_from([ALL, 1, 2]), st.floats(0, 0.02)), max_size=200))
def test_however_often_a_hint_is_asked_for_each_target_gets_one_a_gap_and_none_is_left_out(
    asked: list[tuple[int | None, float]],
) -> None:
    pace, now = Pace(), 0.0
    given_at: dict[int | None, list[float]] = {ALL: [], 1: [], 2: []}
    last_asked: dict[int | None, float] = {}

    def give_up_to(time: float) -> None:
        while pace.next_at <= time:
            at = pace.next_at
            due = pace.take(max(at, now))
            assert due is not None
            for host in due.hosts:
                given_at[host].append(max(at, now))
            if due.everyone is not None:
                given_at[ALL].append(max(at, now))

    for host, later in asked:
        give_up_to(now + later)
        now += later
        pace.ask(host)
        last_asked[host] = now
        give_up_to(now)
    give_up_to(now + 1)

    for host, times in given_at.items():
        gap = GAP_TO_ALL_S if host is ALL else GAP_S
        assert all(later - earlier >= gap - 1e-9 for earlier, later in pairwise(times))
        if host in last_asked:
            assert last_asked[host] <= times[-1] <= last_asked[host] + GAP_TO_ALL_S + 1e-9
    assert not pace.waits


def test_hints_that_are_asked_for_without_end_become_more_seldom_until_nothing_is_asked_for_a_while() -> None:
    pace, given_at = Pace(), list[float]()

    def ask_at(time: float) -> None:
        pace.ask(1)
        if pace.take(time) is not None:
            given_at.append(time)

    for eighth in range(500):
        ask_at(eighth * GAP_S / 8)
    gaps = [round((later - earlier) / GAP_S) for earlier, later in pairwise(given_at)]
    assert gaps == [1, 2, 4, 8, *[round(GAP_TO_ALL_S / GAP_S)] * (len(gaps) - 4)]
    assert len(gaps) > 5

    assert pace.take(1.0) is not None, "what was asked for last"
    given_at.clear()
    for each in (2.0, 2.0 + 2 * GAP_S, 2.0 + 4 * GAP_S):  # one asks, and hears, and asks again
        ask_at(each)
    assert len(given_at) == 3


def test_what_is_awaited_goes_along_with_the_hint_that_is_given() -> None:
    pace = Pace()
    pace.ask(1, ["a"])
    pace.ask(1, ["b"])

    first = pace.take(0.0)
    pace.ask(1, ["c"])

    assert first is not None
    assert first.hosts == {1: {"a", "b"}}
    assert pace.take(GAP_S / 2) is None
    second = pace.take(GAP_S)
    assert second is not None
    assert second.hosts == {1: {"c"}}


def test_a_hint_that_waits_for_a_time_is_withdrawn_and_one_that_does_not_is_not() -> None:
    pace = Pace()
    pace.ask(ALL, not_before=1.0)
    assert pace.next_at == 1.0
    pace.withdraw(ALL)
    assert not pace.waits

    pace.ask(ALL)
    pace.ask(ALL, not_before=1.0)
    pace.withdraw(ALL)
    assert pace.take(0.0) is not None

    pace.ask(ALL, not_before=2.0)
    pace.hurry()
    assert pace.take(0.0) is not None, "the host goes"


def test_a_group_that_reaches_only_what_its_host_owns_concerns_no_other() -> None:
    found = concerned([accept("a")], NOWHERE)

    assert not found.owners
    assert not found.ownerless
    assert not found.answered
    assert not found.all


def test_a_group_concerns_the_owners_of_what_it_reaches_by_the_commits_that_were_written() -> None:
    elsewhere = {"a": 7, "b": 7, "refused": 8, "new": None, "mine": None}

    found = concerned([accept("a"), accept("b"), accept("new"), accept("mine"), take("mine")], elsewhere)

    assert found.owners == {7: {"a", "b"}}
    assert found.ownerless == {"new"}
    assert found.taken == {"mine"}


def test_an_answer_concerns_who_awaits_it_and_the_end_of_a_host_concerns_all() -> None:
    answer = FinishRequest(runtime_id=name("a"), request_id="r", answer="{}")
    found = concerned([Commit(runtime_id=name("a"), fence_token=1, changes=(answer,))], NOWHERE)
    assert found.answered == {"a"}
    assert not found.all

    assert concerned([Commit(changes=(CloseHost(),))], NOWHERE).all


def test_who_awaits_a_runtime_is_known_for_a_minute_and_of_so_many_runtimes() -> None:
    awaiting = Awaiting()
    awaiting.note(1, ["a", "b"], 0.0)
    awaiting.note(2, ["a"], 30.0)

    assert awaiting.hosts(["a"], 1.0) == {1, 2}
    assert awaiting.hosts(["b", "c"], 1.0) == {1}
    assert awaiting.hosts(["a"], AWAITS_S + 1) == {2}
    assert awaiting.hosts(["b"], AWAITS_S + 1) == set()

    awaiting.note(3, [f"r{n}" for n in range(MOST)], 0.0)
    assert awaiting.hosts(["a"], 1.0) == set(), "the oldest is forgotten"
    assert awaiting.hosts(["r0"], 1.0) == {3}


def test_who_says_that_it_awaits_something_hears_of_what_has_come_shortly_before() -> None:
    awaiting = Awaiting()
    assert awaiting.hosts(["a"], 1.0) == set()

    assert awaiting.note(1, ["b", "a"], 1.0 + RECENT_S / 2)
    assert not awaiting.note(1, ["b"], 1.0 + RECENT_S / 2)
    assert not awaiting.note(1, ["a"], 1.0 + 2 * RECENT_S)


def test_what_waits_while_no_line_is_open_is_bounded() -> None:
    pace = Pace()
    for n in range(3 * MOST_AWAITED):
        pace.ask(1, [f"r{n}"])
        pace.ask(n + 2)
    pace.ask(ALL)

    due = pace.take(0.0)

    assert due is not None
    assert len(due.hosts[1]) == MOST_AWAITED
    assert len(due.hosts) == MOST_TARGETS
    assert due.everyone is not None
