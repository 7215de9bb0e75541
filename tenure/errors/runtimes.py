"""What who gives a runtime inputs and verbs meets: who may write, in which state, and how much."""

from __future__ import annotations

from typing import final

from .base import Error, WriteFailed


@final
class IdempotencyConflict(WriteFailed):
    """The idempotency key was used before in this runtime, with another payload.

    The caller's side: one key stands for one message. Use a new key. The same payload is not an error and returns the
    first ticket. `TurnCommitConflict` is its twin for turns.
    """

    message = "idempotency key {key!r} of runtime {runtime_id!r} was used with another payload; use a new key"
    runtime_id: str
    key: str


@final
class StaleFence(WriteFailed):
    """The writer's fence token is not the runtime's current one.

    The runtime got a new owner or a new life since. Stop writing: whatever this writer knows is old. No retry with
    the same token can ever succeed. `RuntimeOwned` is the answer to a host that has no token yet.

    Fields: the runtime, its current token (expected) and the one presented (actual).

    None stands for no token: never minted (expected), or not presented (actual).
    """

    message = "{runtime_id!r} is written under token {expected}, not {actual}; stop, another owner or life has begun"
    runtime_id: str
    expected: int | None
    actual: int | None


@final
class RuntimeOwned(WriteFailed):
    """Another living host owns the runtime.

    No caller's mistake. Wait until it lets go (`spawn(..., wait=True)`) or ask that host. `StoreLocked` is about the
    whole file, `StaleFence` about a writer that was replaced.
    """

    retryable = True
    message = "runtime {runtime_id!r} is owned by host {holder!r}; wait or ask that host"
    runtime_id: str
    holder: str


@final
class RuntimeDestroyed(WriteFailed):
    """The runtime was destroyed, and its id never comes back.

    The caller's side: use another id. `NotFound` is an id that never was, `NotAccepting` a state that may end.
    """

    message = "runtime {runtime_id!r} was destroyed and its id never comes back; use another id"
    runtime_id: str


@final
class KindMismatch(WriteFailed):
    """The runtime exists with another kind than the one given.

    The caller's side: the stored kind decides which behaviour runs it, and never changes. Spawn it with the stored
    kind. `UnknownKind` is a kind that has no behaviour here.
    """

    message = "runtime {runtime_id!r} is of kind {stored!r}, not {given!r}; use the stored kind or another id"
    runtime_id: str
    stored: str
    given: str


@final
class UnknownKind(Error):
    """No behaviour is registered for this kind.

    The host's side: give the supervisor a behaviour of that name. `KindMismatch` is a kind that is known and is not
    this runtime's.
    """

    message = "no behaviour is registered for kind {kind!r}; pass one to the supervisor"
    kind: str


@final
class OlderVersion(WriteFailed):
    """A younger version of the behaviour has recorded the run of this runtime: what it recorded, an older one cannot read.

    No caller's mistake where a deploy is rolled out or back. A host that has the version takes the runtime over;
    `resume(version=...)` moves the run, also back. `StepMismatch` is a behaviour that does something else than is
    recorded; `KindMismatch` is another kind of behaviour.

    Fields: the runtime, the version that its run stands at, and those that the host has.
    """

    message = (
        "the run of runtime {runtime_id!r} was recorded by version {recorded!r}, and this host has older ones alone: "
        "{offered}; resume(version=...) moves it"
    )
    runtime_id: str
    recorded: str
    offered: str


@final
class InvalidTransition(WriteFailed):
    """The table has no arrow from this state for this event, and nothing changed.

    The caller's side: read the state and choose a verb that has an arrow. `NotAccepting` is the answer to a
    message, this one to a verb.

    Fields: the runtime, the state it (or its input) is in and the event that was refused.
    """

    message = "{event!s} is not possible for {runtime_id!r} while it is {state!s}; nothing changed, look at its state"
    runtime_id: str
    state: str
    event: str


@final
class NotAccepting(WriteFailed):
    """The runtime takes no new input in its present state.

    It is retired or stopped, and stays so until a person resets, recycles or spawns it: waiting alone changes
    nothing. `RuntimeDestroyed` is for ever, `InboxFull` passes by itself.
    """

    message = "runtime {runtime_id!r} is {state!s} and takes no new input; reset, recycle or spawn it first"
    runtime_id: str
    state: str


@final
class PayloadTooLarge(WriteFailed):
    """One payload is larger than the store takes.

    The caller's side: store the bytes elsewhere (an attachment) and send a reference, or raise the limit.
    `LimitReached` counts things, this one measures bytes.
    """

    message = "the payload has {size} bytes and the limit is {limit}; send a reference or raise the limit"
    size: int
    limit: int


@final
class InboxFull(WriteFailed):
    """The runtime has as many unfinished inputs as it may have.

    No caller's mistake: it works slower than it is written to. Wait until it has worked some off. `LimitReached` does
    not pass by itself.
    """

    retryable = True
    message = "the inbox of runtime {runtime_id!r} holds {limit} unfinished inputs; wait until some are finished"
    runtime_id: str
    limit: int


@final
class LimitReached(WriteFailed):
    """A named limit other than the inbox and the payload would be passed.

    The caller's side: do less in one go, or raise that limit. Waiting alone does not help, unlike with `InboxFull`.
    """

    message = "the limit of {limit} {what} is reached; do less at once or raise the limit"
    what: str
    limit: int
