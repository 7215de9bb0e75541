"""The proof that a history is one serial order: a sound one passes, and each way to spoil it is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from proof.fleet.history import Accepted, History, Received
from proof.fleet.order import Acknowledged, contradictions

RUNTIME = "clerk/1"

Spoil = Callable[[History], History]


def accepted(number: int) -> Accepted:
    return Accepted(
        runtime_id=RUNTIME,
        key=f"h1.0/{number}",
        input_id=f"i-{number}",
        admission=10 + number,
        phase="consumed",
        run=100 + number,
        boundary=1,
    )


def received(number: int) -> Received:
    """The receipt of the input of that number; the third one on is another host's, under its token."""
    moved = number >= 3
    return Received(
        runtime_id=RUNTIME,
        run=100 + number,
        sequence=1,
        position=number,
        input_ids=[f"i-{number}"],
        messages=number,
        fence_token=6 if moved else 5,
        host=2 if moved else 1,
        group=number,
        at=1000.0 + number,
    )


def sound() -> History:
    return History(
        accepted=[accepted(number) for number in range(1, 6)],
        received=[received(number) for number in range(1, 6)],
        said={RUNTIME: [f"h1.0/{number}" for number in range(1, 6)]},
        tokens={RUNTIME: 6},
        last_token=6,
        groups={1: 2, 2: 5},
        processes={1: "one", 2: "two", 3: "two"},
    )


HEARD = [Acknowledged(runtime_id=RUNTIME, key=f"h1.0/{number}", input_id=f"i-{number}") for number in range(1, 6)]


def with_receipt(number: int, **changes: Any) -> Spoil:
    def spoil(history: History) -> History:
        receipts = [*history.received]
        receipts[number - 1] = evolve(receipts[number - 1], **changes)
        return evolve(history, received=receipts)

    return spoil


def with_input(number: int, **changes: Any) -> Spoil:
    def spoil(history: History) -> History:
        inputs = [*history.accepted]
        inputs[number - 1] = evolve(inputs[number - 1], **changes)
        return evolve(history, accepted=inputs)

    return spoil


def with_history(**changes: Any) -> Spoil:
    return lambda history: evolve(history, **changes)


def test_a_history_in_one_order_is_sound() -> None:
    assert contradictions(sound(), HEARD) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(with_receipt(3, position=4), "a hole, or two in one place", id="two receipts in one place"),
        pytest.param(with_receipt(5, position=6), "a hole", id="a hole"),
        pytest.param(
            with_receipt(3, run=102, sequence=3), "sequence 3 of its run follows 1", id="a receipt of a run is left out"
        ),
        pytest.param(with_receipt(4, run=102, sequence=2), "comes back after another", id="two runs at once"),
        pytest.param(with_receipt(5, messages=3), "shorter", id="a conversation that shrinks"),
        pytest.param(with_receipt(4, fence_token=5, host=1), "a stale owner wrote", id="a fence that is not compared"),
        pytest.param(with_receipt(5, fence_token=7), "its token is 6", id="a token that the runtime never had"),
        pytest.param(with_history(last_token=5), "the last one that the store has minted", id="a token above the last"),
        pytest.param(with_history(groups={1: 2, 2: 4}), "whose last is 4", id="a group that never landed"),
        pytest.param(with_receipt(4, group=2), "after 3", id="groups that go back"),
        pytest.param(with_receipt(4, group=3), "landed twice", id="a group at two times"),
        pytest.param(with_input(2, phase="queued"), "is queued", id="an input that never ended"),
        pytest.param(with_input(2, boundary=2), "that is not there", id="a receipt that is lost"),
        pytest.param(with_receipt(4, input_ids=["i-3"]), "consumed twice", id="an input consumed twice"),
        pytest.param(with_receipt(4, input_ids=["i-9"]), "nobody accepted", id="an input that nobody gave"),
        pytest.param(with_input(4, admission=12), "was consumed after admission", id="another order than the inbox's"),
        pytest.param(
            with_history(said={RUNTIME: ["h1.0/2", "h1.0/1", "h1.0/3", "h1.0/4", "h1.0/5"]}),
            "another order or number",
            id="a conversation in another order",
        ),
        pytest.param(with_input(5, key="h1.0/9"), "was acknowledged as i-5", id="an acknowledged input that is lost"),
        pytest.param(with_input(5, input_id="i-8"), "was acknowledged as i-5", id="another input under the key"),
        pytest.param(with_input(5, admission=11), "stands before it", id="a later one before an earlier one"),
    ],
)
def test_each_contradiction_is_seen(spoil: Spoil, words: str) -> None:
    found = contradictions(spoil(sound()), HEARD)

    assert any(any(word in each for word in words.split("|")) for each in found), found


def test_a_token_of_two_runtimes_is_seen() -> None:
    history = sound()
    other = [evolve(each, runtime_id="clerk/2") for each in history.received]

    found = contradictions(evolve(history, received=[*history.received, *other]), HEARD)

    assert any("token 5 was of clerk/1 and of clerk/2" in each for each in found)


def test_two_processes_under_one_token_are_seen() -> None:
    found = contradictions(with_receipt(4, host=1)(evolve(sound(), groups={1: 9, 2: 5})), HEARD)

    assert any("two processes wrote under token 6" in each for each in found)


def test_a_process_that_was_judged_and_has_another_row_may_go_on_under_its_token() -> None:
    history = with_receipt(5, host=3, group=1)(sound())

    assert contradictions(evolve(history, groups={1: 2, 2: 4, 3: 1}), HEARD) == []
