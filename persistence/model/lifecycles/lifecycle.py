"""The lifecycle of a runtime, as a table.

Theory of operation. A runtime's *standing* is its state, and while it runs two things more: the
state it had before the run, and whether it was retired meanwhile (`retiring`). What a verb or a run
does to it is an *event*. `ARROWS` says for each (state, retiring) which events lead where; what has
no arrow raises `InvalidTransition` and changes nothing. Standings are frozen, so "changes nothing"
needs no undo: the caller computes the next standing, writes it, and publishes it only when the
commit has landed.

Why retiring is not a state: a runtime that is retired during a run goes on running, because
that run must still be able to finish. It just ends elsewhere, and accepts nothing in the meantime.
A run that drains a retired runtime begins with retiring set, for the same reasons.

What is stored is the durable projection: nothing is attached to, or running in, a process that may
be gone by the time the record is read. So `attached` is stored as idle, and `running` as idle or,
while retiring, as retired.

The table knows no run id and no input. That a finished run is the current one, that an id exists
at all (`NotFound`), and that a retired runtime begins a run only while it holds inputs, is checked
by the callers. There is no I/O here and no clock.

                     begin_run                  retire
         idle, attached <---> running ----> running, retiring
           |    ^   finish, fail, cancel        | finish, fail, cancel, stop
    retire |    | reset, recycle                v
           +----+--------------------------> retired  <--> running, retiring   (draining)

    stop:    idle, attached, running -> stopped;    attach: stopped -> attached
    destroy: any -> destroyed, which nothing leaves
"""

from __future__ import annotations

from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, final

import attrs

from tenure.errors import Internal, InvalidTransition
from tenure.persistence.model.values import AbandonReason, RuntimeState

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ARROWS",
    "Arrow",
    "LifecycleEvent",
    "Rule",
    "Standing",
    "abandons",
    "abandons_delayed",
    "accepts_input",
    "durable",
    "durable_state",
    "runs_inputs",
    "transition",
]


@final
class LifecycleEvent(StrEnum):
    """What can happen to a runtime."""

    INITIALIZE = "initialize"
    ATTACH = "attach"
    DETACH = "detach"
    BEGIN_RUN = "begin_run"
    FINISH_RUN = "finish_run"
    FAIL_RUN = "fail_run"
    CANCEL_RUN = "cancel_run"
    RETIRE = "retire"
    RESET = "reset"
    STOP = "stop"
    RECYCLE = "recycle"
    DESTROY = "destroy"


@final
class Rule(Enum):
    """Where an arrow leads that does not lead to a fixed state."""

    STAY = "no change, and no error"
    RUN = "to running, remembering the present state"
    DRAIN = "to running and retiring, remembering the present state"
    BACK = "to the state before the run"
    SET_RETIRING = "stay, and end as retired"


Arrow: TypeAlias = RuntimeState | Rule
"""The end of an arrow: a state, or a rule that names one."""


@final
@attrs.frozen(kw_only=True, slots=True)
class Standing:
    """Where a runtime is: its state and, while it runs, where it came from and where it must end.

    Attributes:
        state: The state.
        retiring: The run ends as retired. Only while running, and always in a draining run.
        before: The state before the run: idle, attached or retired. Only while running.
    """

    state: RuntimeState
    retiring: bool = False
    before: RuntimeState | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse a standing that no sequence of events leads to.

        Raises:
            Internal: The three fields contradict each other.
        """
        if self.state is RuntimeState.RUNNING:
            possible = self.before in _BEFORE_RUN and (self.retiring or self.before is not RuntimeState.RETIRED)
        else:
            possible = self.before is None and not self.retiring
        if not possible:
            raise Internal(detail=f"impossible standing {self!r}")


_BEFORE_RUN: Final = (RuntimeState.IDLE, RuntimeState.ATTACHED, RuntimeState.RETIRED)


# One row per (state, retiring); an event that a row does not name is refused there.
ARROWS: Final[Mapping[tuple[RuntimeState, bool], Mapping[LifecycleEvent, Arrow]]] = MappingProxyType(
    {
        (RuntimeState.INITIALIZING, False): MappingProxyType(
            {
                LifecycleEvent.INITIALIZE: RuntimeState.IDLE,
                LifecycleEvent.DETACH: Rule.STAY,
                LifecycleEvent.RESET: RuntimeState.IDLE,
                LifecycleEvent.DESTROY: RuntimeState.DESTROYED,
            }
        ),
        (RuntimeState.IDLE, False): MappingProxyType(
            {
                LifecycleEvent.ATTACH: RuntimeState.ATTACHED,
                LifecycleEvent.DETACH: Rule.STAY,
                LifecycleEvent.BEGIN_RUN: Rule.RUN,
                LifecycleEvent.RETIRE: RuntimeState.RETIRED,
                LifecycleEvent.RESET: RuntimeState.IDLE,
                LifecycleEvent.STOP: RuntimeState.STOPPED,
                LifecycleEvent.RECYCLE: RuntimeState.IDLE,
                LifecycleEvent.DESTROY: RuntimeState.DESTROYED,
            }
        ),
        (RuntimeState.ATTACHED, False): MappingProxyType(
            {
                LifecycleEvent.ATTACH: Rule.STAY,
                LifecycleEvent.DETACH: RuntimeState.IDLE,
                LifecycleEvent.BEGIN_RUN: Rule.RUN,
                LifecycleEvent.RETIRE: RuntimeState.RETIRED,
                LifecycleEvent.RESET: RuntimeState.IDLE,
                LifecycleEvent.STOP: RuntimeState.STOPPED,
                LifecycleEvent.RECYCLE: Rule.STAY,
                LifecycleEvent.DESTROY: RuntimeState.DESTROYED,
            }
        ),
        (RuntimeState.RUNNING, False): MappingProxyType(
            {
                LifecycleEvent.ATTACH: Rule.STAY,
                LifecycleEvent.FINISH_RUN: Rule.BACK,
                LifecycleEvent.FAIL_RUN: Rule.BACK,
                LifecycleEvent.CANCEL_RUN: Rule.BACK,
                LifecycleEvent.RETIRE: Rule.SET_RETIRING,
                LifecycleEvent.STOP: RuntimeState.STOPPED,
                LifecycleEvent.DESTROY: RuntimeState.DESTROYED,
            }
        ),
        (RuntimeState.RUNNING, True): MappingProxyType(
            {
                LifecycleEvent.ATTACH: Rule.STAY,
                LifecycleEvent.FINISH_RUN: RuntimeState.RETIRED,
                LifecycleEvent.FAIL_RUN: RuntimeState.RETIRED,
                LifecycleEvent.CANCEL_RUN: RuntimeState.RETIRED,
                LifecycleEvent.RETIRE: Rule.STAY,
                LifecycleEvent.STOP: RuntimeState.RETIRED,
                LifecycleEvent.DESTROY: RuntimeState.DESTROYED,
            }
        ),
        (RuntimeState.RETIRED, False): MappingProxyType(
            {
                LifecycleEvent.ATTACH: Rule.STAY,
                LifecycleEvent.DETACH: Rule.STAY,
                LifecycleEvent.BEGIN_RUN: Rule.DRAIN,
                LifecycleEvent.RETIRE: Rule.STAY,
                LifecycleEvent.RESET: RuntimeState.IDLE,
                LifecycleEvent.STOP: Rule.STAY,  # its inputs do not stay, see `abandons`
                LifecycleEvent.RECYCLE: RuntimeState.IDLE,
                LifecycleEvent.DESTROY: RuntimeState.DESTROYED,
            }
        ),
        (RuntimeState.STOPPED, False): MappingProxyType(
            {
                LifecycleEvent.ATTACH: RuntimeState.ATTACHED,
                LifecycleEvent.DETACH: Rule.STAY,
                LifecycleEvent.RETIRE: RuntimeState.RETIRED,
                LifecycleEvent.STOP: Rule.STAY,
                LifecycleEvent.DESTROY: RuntimeState.DESTROYED,
            }
        ),
        (RuntimeState.DESTROYED, False): MappingProxyType({}),
    }
)


def transition(standing: Standing, event: LifecycleEvent, *, runtime_id: str) -> Standing:
    """Return the standing that follows; equal to the given one where the event changes nothing.

    The runtime id only names the runtime in the error.

    Raises:
        InvalidTransition: There is no such arrow.
    """
    arrow = ARROWS[standing.state, standing.retiring].get(event)
    if arrow is None:
        raise InvalidTransition(runtime_id=runtime_id, state=standing.state, event=event)
    match arrow:
        case Rule.STAY:
            return standing
        case Rule.RUN:
            return _RUNNING[standing.state]
        case Rule.DRAIN:
            return Standing(state=RuntimeState.RUNNING, retiring=True, before=standing.state)
        case Rule.BACK:
            if standing.before is None:  # a Standing cannot be made so; for the type checker
                raise Internal(detail=f"no state before the run in {standing!r}")
            return _AT_REST[standing.before]
        case Rule.SET_RETIRING:
            return attrs.evolve(standing, retiring=True)
        case _:
            return Standing(state=arrow)


# Those of every run, made once.
_AT_REST: Final[Mapping[RuntimeState, Standing]] = {state: Standing(state=state) for state in _BEFORE_RUN}
_RUNNING: Final[Mapping[RuntimeState, Standing]] = {
    state: Standing(state=RuntimeState.RUNNING, before=state)
    for state in _BEFORE_RUN
    if state is not RuntimeState.RETIRED
}


def durable(standing: Standing) -> RuntimeState:
    """Return what may be stored of a standing."""
    return durable_state(standing.state, retiring=standing.retiring)


def durable_state(state: RuntimeState, *, retiring: bool = False) -> RuntimeState:
    """Return what may be stored of a state, for callers that know no standing."""
    match state:
        case RuntimeState.ATTACHED:
            return RuntimeState.IDLE
        case RuntimeState.RUNNING:
            return RuntimeState.RETIRED if retiring else RuntimeState.IDLE
        case _:
            return state


def accepts_input(standing: Standing) -> bool:
    """Whether a new input may be accepted. A known idempotency key is answered before this."""
    return standing.state in _ACCEPTING and not standing.retiring


_ACCEPTING: Final = (RuntimeState.IDLE, RuntimeState.ATTACHED, RuntimeState.RUNNING)


def runs_inputs(standing: Standing) -> bool:
    """Whether the state lets a run begin now; whether the runtime is held is not asked."""
    return LifecycleEvent.BEGIN_RUN in ARROWS[standing.state, standing.retiring]


def abandons(event: LifecycleEvent) -> AbandonReason | None:
    """Return the reason with which this event abandons every unfinished input; None: it does not.

    It does so wherever it has an arrow, also where the state stays: stop abandons in retired. The
    batch of a cancelled run is another matter, for the rest of the inbox stays.
    """
    return _ABANDONING.get(event)


def abandons_delayed(event: LifecycleEvent) -> AbandonReason | None:
    """Return the reason with which this event abandons every input that is delayed, and not due; None: it does not.

    A retired runtime drains what it has, and a delayed input might keep it waiting for years.
    """
    return AbandonReason.RETIRED if event is LifecycleEvent.RETIRE else None


_ABANDONING: Final[Mapping[LifecycleEvent, AbandonReason]] = MappingProxyType(
    {
        LifecycleEvent.RESET: AbandonReason.RESET,
        LifecycleEvent.STOP: AbandonReason.STOPPED,
        LifecycleEvent.DESTROY: AbandonReason.DESTROYED,
    }
)
