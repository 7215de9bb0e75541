"""Happenings: what takes place in a host while it works, one value for each; its hooks are called with them at once.

They are of this process alone and nothing of them is written: what others must be able to read later stands in the store.
"""

from __future__ import annotations

from enum import StrEnum
from typing import final

from attrs import frozen

from tenure.persistence.model.values import InputId, LogicalRuntimeId, RunId


class RunOutcome(StrEnum):
    """How a run was left."""

    FINISHED = "finished"
    """Its behaviour returned, and its end is on disk."""

    RETRIED = "retried"
    """It failed, and is tried again."""

    FAILED = "failed"
    """It failed for the last time."""

    HELD = "held"
    """Its runtime is held until a person resumes it, or blocked in this host."""

    CANCELLED = "cancelled"
    """A verb has ended it."""

    ASIDE = "aside"
    """It waits durably, on no host."""

    CUT = "cut"
    """This host lets it go: it closes, or has lost the runtime. Another one, or the next, goes on with it."""


class StepOutcome(StrEnum):
    """How one attempt of a step ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CUT = "cut"
    """It was cancelled, or its run was."""


class AcceptOutcome(StrEnum):
    """What an accept led to."""

    ACCEPTED = "accepted"
    DEDUPLICATED = "deduplicated"
    REFUSED = "refused"
    """It raised; nothing of it is there, as far as its caller knows."""


@frozen(kw_only=True, slots=True)
class OfRuntime:
    """What takes place in a runtime.

    Attributes:
        runtime_id: In which.
    """

    runtime_id: LogicalRuntimeId


@frozen(kw_only=True, slots=True)
class OfKind(OfRuntime):
    """What takes place in a runtime whose kind is known.

    Attributes:
        kind: The kind of the runtime; empty where this host has no behaviour of it.
    """

    kind: str


@frozen(kw_only=True, slots=True)
class OfRun(OfKind):
    """What takes place in a run.

    Attributes:
        run_id: In which.
    """

    run_id: RunId


@frozen(kw_only=True, slots=True)
class OfStep(OfRun):
    """What takes place in one attempt of a step.

    Attributes:
        name: The name of the step.
        place: Its place in the record of the run.
        attempt: Which attempt, from 1.
    """

    name: str
    place: str
    attempt: int


@final
@frozen(kw_only=True, slots=True)
class GroupLanded:
    """Commits are on disk.

    Attributes:
        commits: How many landed in this group.
        seconds: From when the group was taken until its commits were answered.
        sync_s: How much of that was its COMMIT, which is the fsync in durability class ``disk``.
    """

    commits: int
    seconds: float
    sync_s: float


@final
@frozen(kw_only=True, slots=True)
class AcceptEnded(OfKind):
    """An accept has returned to its caller, or raised; of one that was cancelled no one knows.

    Attributes:
        input_id: The input, unless it was refused.
        outcome: What it led to.
        reason: The class of the error where it was refused, else empty.
        seconds: How long it took.
        traceparent: The context that it carried, which is stored with an input that it makes, or None.
    """

    input_id: InputId | None
    outcome: AcceptOutcome
    reason: str
    seconds: float
    traceparent: str | None = None


@final
@frozen(kw_only=True, slots=True)
class RunEntered(OfRun):
    """A behaviour is about to be called.

    Attributes:
        attempt: Which attempt, from 1; one that a crash has cut off does not count.
        again: Whether the run has entered before.
        input_ids: Its batch.
        traceparents: The contexts that those of its inputs carry which have one.
        waited_s: For each input that has begun its first run, the seconds that it waited in its inbox.
        fence_token: The token under which it executes.
        generation: Which life of the runtime it is.
    """

    attempt: int
    again: bool
    input_ids: tuple[InputId, ...]
    waited_s: tuple[float, ...]
    fence_token: int
    generation: int
    traceparents: tuple[str, ...] = ()


@final
@frozen(kw_only=True, slots=True)
class RunExited(OfRun):
    """A run was left. The task is that of its `RunEntered`.

    Attributes:
        outcome: How.
        seconds: Since it was entered.
    """

    outcome: RunOutcome
    seconds: float


@final
@frozen(kw_only=True, slots=True)
class StepEntered(OfStep):
    """One attempt of a step begins; where a result is recorded, none begins.

    Attributes:
        call: The id of the call of a tool that it carries out, where it was given one (`call=`).
    """

    call: str | None = None


@final
@frozen(kw_only=True, slots=True)
class StepExited(OfStep):
    """That attempt has ended. The task is that of its `StepEntered`.

    Attributes:
        outcome: How it ended.
        reason: The class of the exception that ended it, or empty.
        seconds: How long it took, with the wait for a thread.
    """

    outcome: StepOutcome
    reason: str
    seconds: float


@final
@frozen(kw_only=True, slots=True)
class RuntimeHeld(OfKind):
    """A runtime is held, or blocked in this host.

    Attributes:
        reason: Why.
    """

    reason: str


@final
@frozen(kw_only=True, slots=True)
class InputDead(OfRuntime):
    """An input is a dead letter: it was abandoned although no one had asked for it.

    Attributes:
        input_id: Which.
        reason: Why it was abandoned.
    """

    input_id: InputId
    reason: str


@final
@frozen(kw_only=True, slots=True)
class OutputLanded(OfRuntime):
    """What a run has emitted is on disk.

    Attributes:
        channels: The channel of each entry.
        lag_s: For how long the oldest of these entries waited.
    """

    channels: tuple[str, ...]
    lag_s: float


Happening = (
    GroupLanded
    | AcceptEnded
    | RunEntered
    | RunExited
    | StepEntered
    | StepExited
    | RuntimeHeld
    | InputDead
    | OutputLanded
)
"""What a hook is called with."""
