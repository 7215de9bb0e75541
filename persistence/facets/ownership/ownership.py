"""Who may write: hosts, their groups, and the fence tokens of runtimes (design §4).

A host is a row; its groups write their number into it, which is what a verdict is read from. A token is minted from one
counter of the store whenever a runtime begins a new ownership or a new life, and never twice.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import KindMismatch, RuntimeDestroyed, RuntimeOwned
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    OPTIONAL_INT,
    OPTIONAL_TEXT,
    check_row,
    member,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox import (
    batches,
    cancelling,
    repair,
)
from tenure.persistence.facets.records import (
    asides,
    fences,
    labels,
    run_records,
    runtimes,
    versions,
)
from tenure.persistence.model.labels import Labels
from tenure.persistence.model.lifecycles.lifecycle import (
    LifecycleEvent,
    Standing,
    durable,
    transition,
)
from tenure.persistence.model.lifecycles.lifecycle_record import LIFECYCLE_RECORD_VERSION
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RuntimeState,
    SessionId,
)
from tenure.persistence.model.versions import UNVERSIONED, Offer

MAX_CRASHES: Final = 5
"""Crashes in a row that hold a runtime, where nothing else is said (design §6)."""


@final
@frozen(kw_only=True, slots=True)
class TakeOwnership(Change):
    """Own a runtime: create it if it is new, mint its token, charge a crash, queue what was interrupted; all in one commit.

    Answer: `Ownership`. Refused with `RuntimeOwned` (a living host has it), `RuntimeDestroyed`, `KindMismatch`.

    Attributes:
        runtime_id: Which runtime.
        kind: Names the behaviour; stored with a new runtime, compared with a known one.
        epoch: UUIDv7 of this registration.
        session_id: Session of a new runtime.
        max_crashes: Crashes in a row, this one included, that hold the runtime.
        revive: Bring a stopped runtime back to life. Only a spawn does; who comes for a request or an input owns it stopped.
        offers: The versions of the behaviour that the host has. Refused with `OlderVersion` where none goes on with its run.
        labels: Of a new runtime; one that is there keeps what it has.
    """

    ingress = True  # it is what makes a token, so it cannot carry one
    always_synced = True
    moves = True

    runtime_id: LogicalRuntimeId
    kind: str
    epoch: str
    session_id: SessionId
    max_crashes: int = MAX_CRASHES
    revive: bool = False
    offers: tuple[Offer, ...] = UNVERSIONED
    labels: Labels = ()


@final
@frozen(kw_only=True, slots=True)
class Ownership:
    """What an owner knows of its runtime when it begins.

    Attributes:
        runtime_id: Which runtime.
        kind: Names its behaviour.
        state: Durable state: idle, retired, ...
        generation: Which life, from 0.
        fence_token: The token just minted.
        epoch: The registration just made.
        held: Why no run may start, or None.
        held_detail: More about it, for people.
        has_work: Whether inputs are unfinished, or a run.
        in_flight: Whether a run was executing when the last owner went away.
        crashes: Crashes in a row that were charged to its runs.
        failures: Times of failures of the current period, unix seconds, as stored JSON.
        retry_at: When its failed run may be tried again, unix seconds, or None.
        aside: Whether its run is put aside; it has work then where that is due.
    """

    runtime_id: LogicalRuntimeId
    kind: str
    state: RuntimeState
    generation: int
    fence_token: int
    epoch: str
    held: str | None
    held_detail: str | None
    has_work: bool
    in_flight: bool
    crashes: int
    failures: str
    retry_at: float | None
    aside: bool = False


def _take(tx: Transaction, change: TakeOwnership) -> Ownership:
    record = runtimes.find_cached(tx, change.runtime_id)
    if record is None:
        return _told(tx, _make(tx, change))
    _check(tx, record, change)
    in_flight = _charge_crash(tx, record, change.max_crashes)
    repair.repair_inbox(tx, record)
    has_work = record.run is not None or cancelling.any_unfinished(tx, record.runtime)
    has_work = has_work and not asides.keeps(tx, record)
    if record.session is None:
        record.session = sessions.create(tx, change.session_id, record.runtime)
    record.kind = change.kind
    record.record_version = LIFECYCLE_RECORD_VERSION
    if record.state is RuntimeState.INITIALIZING:  # made by store verbs; its inbox stays
        begun = transition(Standing(state=record.state), LifecycleEvent.INITIALIZE, runtime_id=change.runtime_id)
        record.state = begun.state
    if change.revive or record.state is not RuntimeState.STOPPED:
        attach = transition(Standing(state=record.state), LifecycleEvent.ATTACH, runtime_id=change.runtime_id)
        record.state = durable(attach)
    record.fence_token = fences.mint_token(tx, record.fence_token)
    record.epoch = change.epoch
    record.owner = tx.host
    runtimes.save(tx, record)
    return _told(tx, record, has_work=has_work, in_flight=in_flight)


def _make(tx: Transaction, change: TakeOwnership) -> runtimes.RuntimeRecord:
    """A new runtime, written once: in final form, with the key of a session that is created right after."""
    session = tx.key("sessions")
    record = runtimes.insert(
        tx,
        change.runtime_id,
        kind=change.kind,
        fence_token=fences.mint_token(tx, 0),
        epoch=change.epoch,
        owner=tx.host,
        session=session,
    )
    sessions.create_as(tx, session, change.session_id, record.runtime)
    labels.give(tx, record, change.labels)
    return record


def _told(
    tx: Transaction, record: runtimes.RuntimeRecord, *, has_work: bool = False, in_flight: bool = False
) -> Ownership:
    return Ownership(
        runtime_id=record.runtime_id,
        kind=record.kind or "",
        state=record.state,
        generation=record.generation,
        fence_token=record.fence_token,
        epoch=record.epoch or "",
        held=record.held,
        held_detail=record.held_detail,
        has_work=has_work,
        in_flight=in_flight,
        crashes=record.crashes,
        failures=record.failures,
        aside=bool(record.aside),
        retry_at=None if record.run is None else run_records.load(tx, record.run).retry_at,
    )


@final
@frozen(kw_only=True, slots=True)
class Holding:
    """Whose a runtime is, as stored.

    Attributes:
        state: Its durable state.
        fence_token: The token minted last.
        kind: Names its behaviour.
        held: Why no run starts, or None.
        owner: Key of the living host that owns it, or None.
        holder: Incarnation of that host, or None.
        aside: Whether its run is put aside.
    """

    state: RuntimeState
    fence_token: int
    kind: str | None
    held: str | None
    owner: int | None
    holder: str | None
    aside: bool


def find_holding(statements: Statements, runtime_id: LogicalRuntimeId) -> Holding | None:
    """Whose a runtime is, or None where there is no such runtime. Raises `Corrupt`."""
    row = statements.one("ownership.holding", runtime_id=runtime_id)
    if row is None:
        return None
    check_row(row, (str, int, OPTIONAL_TEXT, OPTIONAL_TEXT, OPTIONAL_INT, OPTIONAL_TEXT, int), "runtime", runtime_id)
    state, fence_token, kind, held, owner, holder, aside = row
    stored = member(RuntimeState, state, "runtime", runtime_id)
    return Holding(
        state=stored, fence_token=fence_token, kind=kind, held=held, owner=owner, holder=holder, aside=bool(aside)
    )


def _check(tx: Transaction, record: runtimes.RuntimeRecord, change: TakeOwnership) -> None:
    if record.state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=change.runtime_id)
    if record.kind is not None and record.kind != change.kind:
        raise KindMismatch(runtime_id=change.runtime_id, stored=record.kind, given=change.kind)
    if record.owner is not None and record.owner != tx.host:
        holder = runtimes.living_holder(tx, record.owner)
        if holder is not None:
            raise RuntimeOwned(runtime_id=change.runtime_id, holder=holder)
    versions.check_takes(tx, change.runtime_id, change.kind, record.runtime, record.run, change.offers)


def _charge_crash(tx: Transaction, record: runtimes.RuntimeRecord, max_crashes: int) -> bool:
    """Charge the run in flight with the crash of its owner, if that is what ended it; whether there is such a run."""
    in_flight = record.run is not None and batches.any_staged(tx, record.run)
    if in_flight and record.owner != tx.host and crashed(tx, record.owner):
        runtimes.charge_crash(tx, record, max_crashes)
    return in_flight


def crashed(tx: Transaction, owner: int | None) -> bool:
    """Whether a host died under its work, on the boot of this one."""
    # A host that closed let go in order; one that lapsed was frozen and may wake; another boot means that the machine went
    # down. None of that was the doing of a run.
    return owner is not None and tx.one("ownership.crashed", host=tx.host, lost=owner) is not None


@final
@frozen(kw_only=True, slots=True)
class ReleaseOwnership(Change):
    """Give one runtime up; its token stays spent. Answer: None.

    What its dead owner had in flight is charged here: afterwards the store no longer says what it was.

    Attributes:
        runtime_id: Which.
        max_crashes: See `TakeOwnership`.
    """

    moves = True

    runtime_id: LogicalRuntimeId
    max_crashes: int = MAX_CRASHES


def _release(tx: Transaction, change: ReleaseOwnership) -> None:
    record = runtimes.load(tx, change.runtime_id)
    _charge_crash(tx, record, change.max_crashes)
    record.owner = None
    runtimes.save(tx, record)


@final
@frozen(kw_only=True, slots=True)
class RenewToken(Change):
    """Mint a further token for a runtime (reset, respawn, a change without an owner). Answer: the token.

    Attributes:
        runtime_id: Whose.
        epoch: UUIDv7 of a new registration, or None to keep the one there is.
    """

    always_synced = True
    moves = True

    runtime_id: LogicalRuntimeId
    epoch: str | None = None


def _renew(tx: Transaction, change: RenewToken) -> int:
    record = runtimes.load(tx, change.runtime_id)
    record.fence_token = fences.mint_token(tx, record.fence_token)
    if change.epoch is not None:
        record.epoch = change.epoch
    runtimes.save(tx, record)
    return record.fence_token


@final
@frozen(kw_only=True, slots=True)
class RenewLease(Change):
    """Write nothing: the group's first statement renews the lease of this host. Answer: None.

    In a commit with a runtime's token its answer also means that the token still holds.
    """


def _renew_lease(_tx: Transaction, _change: RenewLease) -> None:
    return


@final
@frozen(kw_only=True, slots=True)
class MarkLost(Change):
    """Judge another host dead or lapsed; its runtimes can be taken over. Answer: whether it was marked now.

    Attributes:
        host: Key of its row.
        counter: Its renewal counter when it was judged lapsed; not marked where it has renewed since. None: its proof of
            life was seized, which needs no further condition.
    """

    ingress = True
    always_synced = True

    host: int
    counter: int | None


def _mark_lost(tx: Transaction, change: MarkLost) -> bool:
    if change.counter is None:
        return tx.run("ownership.mark_dead", lost=change.host, now=tx.now) > 0
    return tx.run("ownership.mark_lapsed", lost=change.host, counter=change.counter, now=tx.now) > 0


@final
@frozen(kw_only=True, slots=True)
class CloseHost(Change):
    """Let go of everything this host owns and close its row: the last commit of an orderly shutdown. Answer: None."""

    ingress = True
    always_synced = True


def _close(tx: Transaction, _change: CloseHost) -> None:
    tx.write("ownership.release_all", host=tx.host, now=tx.now)
    tx.drop_all()
    tx.write("ownership.close_host", host=tx.host, now=tx.now)


FACET: Final = Facet(
    name="ownership",
    handlers={
        TakeOwnership: Handler(apply=_take),
        ReleaseOwnership: Handler(apply=_release),
        RenewToken: Handler(apply=_renew),
        RenewLease: Handler(apply=_renew_lease),
        MarkLost: Handler(apply=_mark_lost),
        CloseHost: Handler(apply=_close),
    },
)
