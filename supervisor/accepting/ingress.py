"""Ingress: the one way in which an input comes into an inbox, here or on another host.

An accept carries no fence and is judged by what is stored: so it is a separate commit, straight to the writer, and meets
neither the actor nor its run. In the callback of that commit its ticket is issued, before an end of the input can be published;
then the runtime hears that something waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import Protocol, final

import trio
from attrs import evolve
from outcome import Error as Failed, Outcome as Captured, Value

from tenure.errors import Error, IdempotencyConflict, InvalidInput
from tenure.persistence.commits.commit import (
    Commit,
    CommitResult,
)
from tenure.persistence.facets.inbox.inputs import (
    AcceptedInput,
    AcceptInput,
)
from tenure.persistence.facets.inbox.newcomers import Newcomer
from tenure.persistence.model.codec import encode
from tenure.persistence.model.labels import Labels
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import LogicalRuntimeId, SessionId
from tenure.persistence.seams.nursery import is_for_others
from tenure.persistence.store import Store, ground_of
from tenure.persistence.writing.group import Outcome
from tenure.persistence.writing.pending import Rider

from .instrumented_accepts import instrumented_accept
from .payloads import Fits, PayloadType, fits
from .redelivery import in_stored_words
from .terms import (
    AcceptTerms,
    accept_change,
    check_terms,
    plain_change,
)
from .tickets import Ticket, learn


class Accepting(Protocol):
    """A behaviour, as far as it takes payloads."""

    @property
    def payload_type(self) -> PayloadType:
        """What its payloads are."""
        ...


@final
class Ingress:
    """Takes inputs for every runtime of the store."""

    def __init__(
        self,
        store: Store,
        behaviours: Mapping[str, Accepting],
        issue: Callable[[LogicalRuntimeId, AcceptedInput], Ticket],
        arrived: Callable[[AcceptInput, AcceptedInput, bool], None],
        distrust: Callable[[LogicalRuntimeId, BaseException], None],
        join: Callable[[LogicalRuntimeId, Commit], tuple[Commit, Rider] | None],
    ) -> None:
        """Bind to the store and to who hears of what has landed.

        Args:
            store: Where inboxes are.
            behaviours: By kind: they encode payloads.
            issue: Makes the ticket of an accept that has landed.
            arrived: Hears of it, to set the runtime to work; with it, whether the begin of a run went along.
            distrust: Hears of a mistake of ours in publishing an accept.
            join: Lets the begin of a run go along with an accept that the writer takes now.
        """
        self._store = store
        self._commit = ground_of(store).commit
        self._seams = store.seams
        self._payload_types = {kind: behaviour.payload_type for kind, behaviour in behaviours.items()}
        self._issue = issue
        self._arrived = arrived
        self._distrust = distrust
        self._hooks = ground_of(store).hooks
        self._join = join
        self._closed: Error | None = None

    async def accept(
        self,
        runtime_id: LogicalRuntimeId,
        kind: str,
        payload: object,
        terms: AcceptTerms,
        *,
        makes: Labels | None = None,
        instrumented: bool = False,
    ) -> Ticket:
        """Put one input into the inbox of a runtime of this kind; see `Runtime.accept`.

        `makes`: the labels of the runtime, which is made in the same commit where it is not there; None makes none.
        `instrumented`: the hooks are called with it already.
        """
        if self._hooks.call is not None and not instrumented:
            known = kind if kind in self._payload_types else ""  # any name that a caller gives were a label else
            accept = partial(self.accept, runtime_id, kind, payload, makes=makes, instrumented=True)
            return await instrumented_accept(self._hooks, runtime_id, known, accept, terms)
        if self._closed is not None:
            raise copy(self._closed)
        payload_type, seams = self._payload_types.get(kind), self._seams
        # Without a behaviour no one here can say whether it fits.
        data, misfit = _encoded(payload_type, payload, terms)
        fitted = None if payload_type is None else payload_type.version
        if terms:
            check_terms(terms)
            change = accept_change(seams, runtime_id, data, fitted, **terms)
        else:
            change = plain_change(seams, runtime_id, data, fitted)
        if makes is not None:
            newcomer = Newcomer(kind=kind, session_id=SessionId(seams.new_id()), labels=makes)
            change = evolve(change, newcomer=newcomer)
        if misfit is not None:
            change = evolve(change, misfit=misfit)
        try:
            return await self._accept(change)
        except IdempotencyConflict:
            if payload_type is None:
                raise
            same = await in_stored_words(self._store, payload_type, change)
            if same is None:
                raise
        return await self._accept(same)

    async def _accept(self, change: AcceptInput) -> Ticket:
        tickets: list[Captured[Ticket]] = []
        alone = change.delay is not None or change.decision.consumes_on_accept or change.misfit is not None
        find_rider = None if alone else self._find_rider
        await self._commit(Commit(changes=(change,)), partial(self._settled, change, tickets), find_rider)
        ticket = tickets[0].unwrap()
        if ticket.deduplicated:
            with trio.move_on_after(
                self._store.limits.verdict_wait_s, shield=True
            ):  # the ticket is returned, also where cancelled
                await learn(ticket)
        return ticket

    def fits(self, data: bytes) -> Fits:
        """The kinds of this host that take an encoded payload; see `fits`."""
        return fits(self._payload_types, data)

    def check_fits(self, kind: str, data: bytes) -> None:
        """Refuse an encoded payload that the behaviour of a kind does not take, where there is one. Raises `InvalidInput`."""
        payload_type = self._payload_types.get(kind)
        if payload_type is not None:
            payload_type.decode(data, "given")

    def close(self, error: Error) -> None:
        """Take nothing more; what has not been submitted is refused with this error."""
        self._closed = error

    def _find_rider(self, commit: Commit) -> tuple[Commit, Rider] | None:
        runtime_id = commit.changes[0].reaches
        if runtime_id is None:
            return None
        try:
            return self._join(runtime_id, commit)
        except BaseException as exc:
            if is_for_others(exc):
                raise
            self._distrust(runtime_id, exc)
            return None

    def _settled(self, change: AcceptInput, tickets: list[Captured[Ticket]], outcome: Outcome) -> None:
        if type(outcome) is not CommitResult:
            return
        accepted: AcceptedInput = outcome.values[0]
        try:
            tickets.append(Value(self._issue(change.runtime_id, accepted)))
            self._arrived(change, accepted, len(outcome.changes) > 1)
        except BaseException as exc:
            if is_for_others(exc):
                raise
            # Raised from here it would stop the store, and every runtime with it; it is raised in the caller's task.
            tickets.insert(0, Failed(as_defect(exc)))
            self._distrust(change.runtime_id, exc)


def _encoded(payload_type: PayloadType | None, payload: object, terms: AcceptTerms) -> tuple[bytes, str | None]:
    """An encoded payload, and what its class says against it: one with a key may have come before, when the class took it."""
    if payload_type is None:
        return encode(payload, "payload"), None
    try:
        return payload_type.encode(payload), None
    except InvalidInput as exc:
        if terms.get("idempotency_key") is None:
            raise
        return payload_type.form(payload), exc.detail
