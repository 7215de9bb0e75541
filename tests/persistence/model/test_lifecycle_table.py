"""The lifecycle table, against the table of the design written out by hand."""

from __future__ import annotations

import pytest

from tenure.errors import Internal, InvalidTransition
from tenure.persistence.model.lifecycles.lifecycle import (
    ARROWS,
    LifecycleEvent,
    Standing,
    abandons,
    accepts_input,
    durable,
    durable_state,
    runs_inputs,
    transition,
)
from tenure.persistence.model.values import (
    AbandonReason,
    RuntimeState,
)

RUNNING = RuntimeState.RUNNING
# Every standing there is, by the name it has in the table below.
STANDINGS = {
    "initializing": Standing(state=RuntimeState.INITIALIZING),
    "idle": Standing(state=RuntimeState.IDLE),
    "attached": Standing(state=RuntimeState.ATTACHED),
    "running<idle": Standing(state=RUNNING, before=RuntimeState.IDLE),
    "running<attached": Standing(state=RUNNING, before=RuntimeState.ATTACHED),
    "retiring<idle": Standing(state=RUNNING, retiring=True, before=RuntimeState.IDLE),
    "retiring<attached": Standing(state=RUNNING, retiring=True, before=RuntimeState.ATTACHED),
    "draining": Standing(state=RUNNING, retiring=True, before=RuntimeState.RETIRED),
    "retired": Standing(state=RuntimeState.RETIRED),
    "stopped": Standing(state=RuntimeState.STOPPED),
    "destroyed": Standing(state=RuntimeState.DESTROYED),
}
END_OF_RUN = """
    running<idle -> idle            running<attached -> attached
    retiring<idle -> retired        retiring<attached -> retired      draining -> retired
"""
TABLE = {
    "initialize": "initializing -> idle",
    "attach": """
        idle -> attached                    stopped -> attached
        attached -> attached                retired -> retired
        running<idle -> running<idle        running<attached -> running<attached
        retiring<idle -> retiring<idle      retiring<attached -> retiring<attached
        draining -> draining
    """,
    "detach": """
        attached -> idle    initializing -> initializing    idle -> idle
        retired -> retired  stopped -> stopped
    """,
    "begin_run": "idle -> running<idle  attached -> running<attached  retired -> draining",
    "finish_run": END_OF_RUN,
    "fail_run": END_OF_RUN,
    "cancel_run": END_OF_RUN,
    "retire": """
        idle -> retired                 attached -> retired                      stopped -> retired
        running<idle -> retiring<idle   running<attached -> retiring<attached    retired -> retired
        retiring<idle -> retiring<idle  retiring<attached -> retiring<attached
        draining -> draining
    """,
    "reset": "initializing -> idle  idle -> idle  attached -> idle  retired -> idle",
    "stop": """
        idle -> stopped             attached -> stopped
        running<idle -> stopped     running<attached -> stopped
        retiring<idle -> retired    retiring<attached -> retired    draining -> retired
        retired -> retired          stopped -> stopped
    """,
    "recycle": "idle -> idle  retired -> idle  attached -> attached",
    "destroy": " ".join(f"{name} -> destroyed" for name in STANDINGS if name != "destroyed"),
}


def parse(row: str) -> dict[str, str]:
    words = row.split()
    return dict(zip(words[0::3], words[2::3], strict=True))


EXPECTED = {(source, event): target for event, row in TABLE.items() for source, target in parse(row).items()}
EVERY_PAIR = [(name, event) for name in STANDINGS for event in LifecycleEvent]


def test_the_expected_table_names_every_event_and_only_known_standings() -> None:
    assert list(TABLE) == [event.value for event in LifecycleEvent]
    assert {name for (name, _), target in EXPECTED.items() for name in (name, target)} <= set(STANDINGS)


@pytest.mark.parametrize(("name", "event"), EVERY_PAIR)
def test_every_pair_follows_its_arrow_or_is_refused_and_changes_nothing(name: str, event: LifecycleEvent) -> None:
    standing = STANDINGS[name]
    target = EXPECTED.get((name, event.value))
    if target is not None:
        assert transition(standing, event, runtime_id="alice") == STANDINGS[target]
        return
    unchanged = Standing(state=standing.state, retiring=standing.retiring, before=standing.before)
    with pytest.raises(InvalidTransition) as refused:
        transition(standing, event, runtime_id="alice")
    assert refused.value.runtime_id == "alice"
    assert refused.value.state == standing.state
    assert refused.value.event == event
    assert standing == unchanged


def test_the_table_has_a_row_for_every_state_and_retiring_and_none_besides() -> None:
    assert set(ARROWS) == {(standing.state, standing.retiring) for standing in STANDINGS.values()}
    assert {standing.state for standing in STANDINGS.values()} == set(RuntimeState)


def test_every_standing_is_reached_from_initializing_and_no_other_one() -> None:
    reached: set[Standing] = set()
    waiting = [Standing(state=RuntimeState.INITIALIZING)]
    while waiting:
        standing = waiting.pop()
        if standing in reached:
            continue
        reached.add(standing)
        row = ARROWS[standing.state, standing.retiring]
        waiting += [transition(standing, event, runtime_id="alice") for event in row]
    assert reached == set(STANDINGS.values())


@pytest.mark.parametrize("state", RuntimeState)
@pytest.mark.parametrize("retiring", [False, True])
@pytest.mark.parametrize("before", [None, *RuntimeState])
def test_a_standing_that_cannot_be_is_refused(
    state: RuntimeState, *, retiring: bool, before: RuntimeState | None
) -> None:
    possible = {(each.state, each.retiring, each.before) for each in STANDINGS.values()}
    if (state, retiring, before) in possible:
        Standing(state=state, retiring=retiring, before=before)
    else:
        with pytest.raises(Internal):
            Standing(state=state, retiring=retiring, before=before)


def test_running_and_attached_are_never_stored() -> None:
    assert {name: durable(standing).value for name, standing in STANDINGS.items()} == {
        "initializing": "initializing",
        "idle": "idle",
        "attached": "idle",
        "running<idle": "idle",
        "running<attached": "idle",
        "retiring<idle": "retired",
        "retiring<attached": "retired",
        "draining": "retired",
        "retired": "retired",
        "stopped": "stopped",
        "destroyed": "destroyed",
    }


@pytest.mark.parametrize("state", RuntimeState)
def test_a_stored_state_is_its_own_projection(state: RuntimeState) -> None:
    stored = durable_state(state)
    assert durable_state(stored) is stored
    assert durable(Standing(state=stored)) is stored


def test_input_is_accepted_while_idle_attached_or_running_but_not_while_retiring() -> None:
    accepting = {name for name, standing in STANDINGS.items() if accepts_input(standing)}
    assert accepting == {"idle", "attached", "running<idle", "running<attached"}


def test_a_run_may_begin_while_idle_or_attached_and_in_retired_to_drain() -> None:
    assert {name for name, standing in STANDINGS.items() if runs_inputs(standing)} == {
        "idle",
        "attached",
        "retired",
    }


def test_reset_stop_and_destroy_abandon_the_inbox_each_with_its_own_reason() -> None:
    assert {event: abandons(event) for event in LifecycleEvent if abandons(event)} == {
        LifecycleEvent.RESET: AbandonReason.RESET,
        LifecycleEvent.STOP: AbandonReason.STOPPED,
        LifecycleEvent.DESTROY: AbandonReason.DESTROYED,
    }


def test_no_standing_reached_by_an_abandoning_event_still_runs() -> None:
    for name, standing in STANDINGS.items():
        for event in LifecycleEvent:
            if abandons(event) and (name, event.value) in EXPECTED:
                after = transition(standing, event, runtime_id="alice")
                assert after.state is not RuntimeState.RUNNING
