"""The table of input phases, against one written out by hand."""

from __future__ import annotations

import pytest

from tenure.errors import Internal, InvalidTransition
from tenure.persistence.model.inputs.phases import (
    ARROWS,
    InputEvent,
    advance,
    is_terminal,
)
from tenure.persistence.model.values import (
    AbandonReason,
    InputPhase,
)
from tests.kit.phase_oracle import after_failed_run, repaired, ways_to_consumed

TABLE = {
    "queue": "accepted -> queued",
    "stage": "queued -> staged",
    "roll_back": "staged -> queued",
    "apply": "staged -> applied",
    "await_consumption": "applied -> applied_pending_consumption",
    "consume": "accepted -> consumed  applied_pending_consumption -> consumed",
    "supersede": "queued -> superseded",
    "coalesce": "queued -> coalesced",
    "abandon": """
        accepted -> abandoned  queued -> abandoned  staged -> abandoned  applied -> abandoned
        applied_pending_consumption -> abandoned
    """,
    "retry": "abandoned -> queued",
}


def parse(row: str) -> dict[str, str]:
    words = row.split()
    return dict(zip(words[0::3], words[2::3], strict=True))


EXPECTED = {
    (InputPhase(source), InputEvent(event)): InputPhase(target)
    for event, row in TABLE.items()
    for source, target in parse(row).items()
}
TERMINAL = {
    InputPhase.CONSUMED,
    InputPhase.SUPERSEDED,
    InputPhase.COALESCED,
    InputPhase.ABANDONED,
}


@pytest.mark.parametrize("phase", InputPhase)
@pytest.mark.parametrize("event", InputEvent)
def test_every_pair_follows_its_arrow_or_is_refused(phase: InputPhase, event: InputEvent) -> None:
    target = EXPECTED.get((phase, event))
    reason = AbandonReason.CANCELLED if phase is InputPhase.ABANDONED else None
    if target is not None:
        assert advance(phase, event, runtime_id="alice", reason=reason) is target
        return
    with pytest.raises(InvalidTransition) as refused:
        advance(phase, event, runtime_id="alice", reason=reason)
    assert refused.value.runtime_id == "alice"
    assert refused.value.state == phase
    assert refused.value.event == event


def test_the_tables_name_every_phase_and_every_event() -> None:
    assert set(ARROWS) == set(InputPhase)
    assert set(TABLE) == {event.value for event in InputEvent}


@pytest.mark.parametrize("reason", AbandonReason)
def test_retry_opens_what_was_abandoned_unless_its_runtime_was_destroyed(
    reason: AbandonReason,
) -> None:
    def retry() -> InputPhase:
        return advance(InputPhase.ABANDONED, InputEvent.RETRY, runtime_id="alice", reason=reason)

    if reason is AbandonReason.DESTROYED:
        with pytest.raises(InvalidTransition):
            retry()
    else:
        assert retry() is InputPhase.QUEUED


def test_retry_without_the_reason_is_a_defect_and_no_refusal() -> None:
    with pytest.raises(Internal):
        advance(InputPhase.ABANDONED, InputEvent.RETRY, runtime_id="alice")


@pytest.mark.parametrize("phase", InputPhase)
def test_the_four_ends_are_terminal_and_only_retry_leads_out(phase: InputPhase) -> None:
    assert is_terminal(phase) is (phase in TERMINAL)
    if is_terminal(phase):
        assert set(ARROWS[phase]) <= {InputEvent.RETRY}
    else:
        assert InputEvent.ABANDON in ARROWS[phase]


@pytest.mark.parametrize("phase", InputPhase)
def test_a_run_that_ends_well_takes_what_is_in_its_hands_to_consumed(phase: InputPhase) -> None:
    ways = ways_to_consumed(phase)
    in_hand = {InputPhase.STAGED, InputPhase.APPLIED, InputPhase.APPLIED_PENDING_CONSUMPTION}
    assert bool(ways) is (phase in in_hand)
    reached = phase
    for event in ways:
        reached = advance(reached, event, runtime_id="alice")
    assert reached is (InputPhase.CONSUMED if ways else phase)


def test_the_last_failed_attempt_abandons_and_those_before_roll_back() -> None:
    assert [after_failed_run(attempts=n, max_attempts=3) for n in (1, 2, 3, 4)] == [
        InputEvent.ROLL_BACK,
        InputEvent.ROLL_BACK,
        InputEvent.ABANDON,
        InputEvent.ABANDON,
    ]


# phase: after recovery without the receipt of a finished run, with it, ephemeral without, with
REPAIRED = {
    "accepted": "queued queued dropped dropped",
    "queued": "queued queued dropped dropped",
    "staged": "queued queued dropped dropped",
    "applied": "queued consumed dropped consumed",
    "applied_pending_consumption": "queued consumed dropped consumed",
    "consumed": "consumed consumed consumed consumed",
    "superseded": "superseded superseded superseded superseded",
    "coalesced": "coalesced coalesced coalesced coalesced",
    "abandoned": "abandoned abandoned abandoned abandoned",
}


@pytest.mark.parametrize("phase", InputPhase)
def test_recovery_leaves_no_input_between_the_inbox_and_an_end(phase: InputPhase) -> None:
    after = [
        repaired(phase, has_receipt=has_receipt, ephemeral=ephemeral)
        for ephemeral in (False, True)
        for has_receipt in (False, True)
    ]
    assert [each or "dropped" for each in after] == REPAIRED[phase.value].split()


@pytest.mark.parametrize("phase", InputPhase)
@pytest.mark.parametrize("has_receipt", [False, True])
@pytest.mark.parametrize("ephemeral", [False, True])
def test_recovery_repeated_after_a_crash_changes_nothing_more(
    phase: InputPhase, *, has_receipt: bool, ephemeral: bool
) -> None:
    once = repaired(phase, has_receipt=has_receipt, ephemeral=False)
    assert once is not None
    assert repaired(once, has_receipt=has_receipt, ephemeral=False) is once
    if is_terminal(phase):
        assert repaired(phase, has_receipt=has_receipt, ephemeral=ephemeral) is phase
