"""In what order commits go: decided from what they name, and from what was seen of them."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, strategies as st

from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.ownership.ownership import RenewToken
from tenure.persistence.facets.records.holds import PlaceHold
from tenure.persistence.facets.runs.sends import Send
from tenure.persistence.model.values import InputId, RunId
from tenure.persistence.writing.strands.order import IN_SAVEPOINTS, Order, named
from tests.kit.stores import name

SIDE_BY_SIDE = Order(side_by_side=True)


def accepted(runtime_id: str) -> Commit:
    change = AcceptInput(runtime_id=name(runtime_id), input_id=InputId("i"), payload=b"1", payload_digest=b"")
    return Commit(changes=(change,))


def said(runtime_id: str, *more: Change) -> Commit:
    return Commit(
        runtime_id=name(runtime_id), changes=(AppendMessages(runtime_id=name(runtime_id), messages=(b"hi",)), *more)
    )


def sent(runtime_id: str, target: str) -> Commit:
    send = Send(
        runtime_id=name(runtime_id),
        run_id=RunId("r"),
        index=1,
        target=name(target),
        input_id=InputId("i"),
        payload=b"1",
        payload_digest=b"",
    )
    return Commit(runtime_id=name(runtime_id), changes=(send,))


def renewed(runtime_id: str) -> Commit:
    return said(runtime_id, RenewToken(runtime_id=name(runtime_id)))


def held(kind: str) -> Commit:
    return Commit(changes=(PlaceHold(kind=kind),))


names = st.sampled_from("abcdef")
commits = st.one_of(
    names.map(accepted), names.map(said), st.builds(sent, names, names), names.map(renewed), names.map(held)
)


def where(order: Order, group: list[Commit], waiting: list[int]) -> dict[int, tuple[int, int]]:
    """By place: in which wave a commit goes, and in which strand of it."""
    return {
        place: (at, number)
        for at, wave in enumerate(order.waves(group, waiting))
        for number, strand in enumerate(wave)
        for place in strand.commits
    }


@given(st.lists(commits, max_size=12), st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_whatever_two_commits_may_both_write_they_follow_one_another_as_they_came(
    group: list[Commit], out: set[int], reaching: set[int]
) -> None:
    waiting = [place for place in range(len(group)) if place not in out]
    order = Order(side_by_side=True, reaching=frozenset(reaching))
    waves = list(order.waves(group, waiting))
    found = where(order, group, waiting)

    assert sorted(found) == waiting
    for earlier, later in combinations(waiting, 2):
        mine, others = named(group[earlier]), named(group[later])
        further = {earlier, later} & reaching
        if mine is None or others is None or further or mine & others:
            assert found[earlier][0] < found[later][0] or found[earlier] == found[later]
    for wave in waves:
        for strand in wave:
            assert list(strand.commits) == sorted(strand.commits)
        for one, other in combinations(wave, 2):
            assert not one.names & other.names


def test_commits_of_different_runtimes_are_strands_of_one_wave() -> None:
    assert where(SIDE_BY_SIDE, [said("a"), accepted("b"), said("b"), accepted("c")], [0, 1, 2, 3]) == {
        0: (0, 0),
        1: (0, 1),
        2: (0, 1),
        3: (0, 2),
    }


def test_a_message_makes_one_strand_of_those_of_its_sender_and_of_its_target() -> None:
    (wave,) = SIDE_BY_SIDE.waves([said("a"), said("b"), said("c"), sent("a", "c"), said("c")], range(5))

    assert sorted(strand.commits for strand in wave) == [(0, 2, 3, 4), (1,)]


@pytest.mark.parametrize("alone", [held("k"), renewed("b")])
def test_what_may_write_more_than_it_names_is_a_wave_by_itself(alone: Commit) -> None:
    found = where(SIDE_BY_SIDE, [said("a"), said("b"), alone, said("a"), said("b")], [0, 1, 2, 3, 4])

    assert [found[place][0] for place in range(5)] == [0, 0, 1, 2, 2]


def test_what_was_seen_to_reach_further_is_a_wave_by_itself_and_the_second_time_nothing_is_beside_anything() -> None:
    group = [said("a"), said("b"), said("c")]
    second = SIDE_BY_SIDE.seen_reaching([1])
    third = second.seen_reaching([2])

    assert [place for place, _ in where(second, group, [0, 1, 2]).values()] == [0, 1, 2]
    assert where(third, group, [0, 1, 2]) == dict.fromkeys(range(3), (0, 0))


def test_in_savepoints_no_commit_is_beside_another() -> None:
    assert where(IN_SAVEPOINTS, [said("a"), said("b")], [0, 1]) == dict.fromkeys(range(2), (0, 0))
