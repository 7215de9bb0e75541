"""The supervisor: what users ask of a host. Its parts are put together in `host`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Unpack, final

import trio

from tenure.errors import (
    Closed,
    Contended,
    DiskFull,
    InvalidInput,
    NotFound,
    RuntimeDestroyed,
)
from tenure.persistence.contracts.erasing import Erasure
from tenure.persistence.facets.erasing import erasing
from tenure.persistence.facets.inbox import outcomes
from tenure.persistence.facets.inbox.newcomers import MAKE_IT
from tenure.persistence.model.arguments import check_key, check_value, checked, names_verbs
from tenure.persistence.model.labels import check_labels
from tenure.persistence.model.values import (
    InputId,
    InputPhase,
    LogicalRuntimeId,
    RuntimeState,
    check_runtime_id,
)
from tenure.persistence.store import Store

from .accepting.terms import AcceptTerms
from .accepting.tickets import Ticket
from .fleet.own_states import set_values, write_unowned
from .handles.schedules import Schedules
from .handles.selection import Selection
from .host import Host
from .hosting.holds import check_note
from .operators.listing import wanted_of
from .output.reader import OutputReader
from .owning import Owning
from .runs.at_work import doing
from .runs.behaviour import Behaviours

ASK_S: Final = 2.0
"""Longest wait for what another host says of one of its runtimes."""


@final
@names_verbs
class Supervisor(Owning):
    """Owns runtimes. Made by `open_supervisor`.

    Attributes:
        store: The store beneath, for reads and for facets of one's own.
    """

    def __init__(self, store: Store, behaviours: Behaviours, nursery: trio.Nursery) -> None:
        """Own nothing yet; tasks will run in `nursery`."""
        super().__init__(store, behaviours, nursery)
        host = self._host
        self._schedules = Schedules(store, host.timers.hear, host.takeovers.wake, host.ingress)

    @property
    def schedules(self) -> Schedules:
        """Inputs that come by a timetable."""
        return self._schedules

    @checked
    def follow(self, after: str | None = None, *, channel: str | None = None, events: bool = False) -> OutputReader:
        """What all runtimes of the store emit, on whichever host, in the order in which it was written; see `Runtime.follow`.

        It has no end.
        """
        return self._host.follow.reader(None, after, channel, events=events)

    async def accept(
        self,
        runtime_id: str,
        payload: object,
        *,
        kind: str | None = None,
        labels: Mapping[str, str] | None = None,
        **terms: Unpack[AcceptTerms],
    ) -> Ticket:
        """Put one input into the inbox of any runtime of the store, here or on another host; see `Runtime.accept`.

        With a `kind` a runtime that is not there is made in the commit that accepts the input. This host needs no behaviour
        of that kind: it owns nothing by this, and a host that has the behaviour takes the runtime over at once. Any number of
        processes may accept for one runtime, also its first input.

        Args:
            runtime_id: Whose inbox.
            payload: See `Runtime.accept`. Where this host has no behaviour of the kind, whatever has JSON form.
            kind: Names the behaviour of a runtime that may not be there yet; compared with that of one that is.
            labels: Of the runtime that is made; see `spawn`. One that is there keeps the labels that it has.
            **terms: See `AcceptTerms`.

        Raises:
            InvalidInput: A label cannot be, or there are labels and no `kind`.
            NotFound: No such runtime, and no `kind` is given.
            KindMismatch: The runtime is of another kind. Nothing is written.
        """
        given = check_labels(check_value(labels, Mapping[str, str] | None, "labels"))
        checked_id = check_runtime_id(check_value(runtime_id, str, "runtime_id"))
        if kind is None:
            if labels is not None:
                raise InvalidInput(detail="labels go with a kind", field="labels")
            found = await self._find(checked_id)
            if found is None:
                raise NotFound(what="runtime", key=checked_id, advice=MAKE_IT)
            return await found.accept(payload, **terms)
        named = check_key(kind, "kind")
        return await self._host.ingress.accept(checked_id, named or "", payload, terms, makes=given)

    @checked
    async def ticket(
        self, runtime_id: str, *, input_id: str | None = None, idempotency_key: str | None = None
    ) -> Ticket:
        """Find a ticket again, by exactly one of input id and key; also after a restart.

        Raises:
            NotFound: The runtime has no such input.
            RuntimeDestroyed: It is erased, or is being erased: no key of it is known.
            InvalidInput: Neither or both are given.
        """
        checked = check_runtime_id(runtime_id)
        if (input_id is None) is (idempotency_key is None):
            raise InvalidInput(detail="give either an input id or an idempotency key")
        if await self.store.read(partial(erasing.find, runtime_id=checked)) is not None:
            raise RuntimeDestroyed(runtime_id=checked)  # its keys are gone too
        found = None if input_id is None else InputId(input_id)
        if found is None and idempotency_key is not None:
            read = partial(outcomes.find_by_key, runtime_id=checked, idempotency_key=idempotency_key)
            found = await self.store.read(read)
        if found is None:
            raise NotFound(what="input", key=str(idempotency_key), advice="check the key")
        # Issued before it is read: an end that is published in between finds it.
        tickets = self._host.tickets
        ticket = tickets.issue(checked, found, InputPhase.QUEUED, deduplicated=True)
        stored = await tickets.find_outcome(checked, found)
        if stored is not None:
            tickets.settle(checked, found, stored)
        self._host.news.stir(is_hinted=True)
        if stored is None and not self._host.owned.owns(checked):
            self._host.news.await_of(checked)
        return ticket

    @checked
    async def set_execution_state(
        self,
        runtime_id: str,
        values: Mapping[str, Any],
        *,
        delete: Iterable[str] = (),
        expected: int | None = None,
    ) -> int:
        """Set and delete values of a runtime's own state, all or nothing, and return its new revision.

        A run that has begun sees none of it: the next one does. Where another host owns the runtime, that writes it.

        Raises:
            NotFound, RuntimeDestroyed: The runtime does not exist, or never comes back.
            StateConflict: The state is not at revision `expected`.
            InvalidInput, PayloadTooLarge, LimitReached: A name, a value or their number does not fit.
        """
        checked_id = check_runtime_id(runtime_id)
        verb = set_values(self.store.limits, values, delete, expected)
        host = self._host
        while (facts := host.owned.find(checked_id)) is not None:
            try:
                return await host.requests.perform(facts, verb)
            except Closed:  # it may have been put aside while this waited for its turn, and be back
                if host.owned.find(checked_id) is not facts and not host.actors.has_let_go(facts):
                    raise
        revision = await write_unowned(self.store, checked_id, verb)
        return await host.requests.ask(checked_id, verb) if revision is None else revision

    @checked
    def select(
        self,
        *,
        kind: str | None = None,
        state: RuntimeState | None = None,
        held: bool = False,
        parent: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Selection:
        """The runtimes that `list` gives for the same arguments, here or on other hosts, to carry out a verb for all of them.

            chosen = supervisor.select(kind="chat", labels={"tenant": "acme"})
            print(await chosen.stop(dry_run=True))
            await chosen.stop()

        Raises:
            InvalidInput: Nothing is given, or what cannot be.
        """
        return Selection(self.store, wanted_of(kind, state, parent, labels, held=held), self.find)

    async def erase(self, runtime_id: str, *, peers: bool = False) -> Erasure:
        """Erase everything that a destroyed runtime has ever held; see `Store.erase`."""
        return await self.store.erase(runtime_id, peers=peers)

    @checked
    async def hold(self, runtime_id: str | None = None, *, kind: str | None = None, note: str = "") -> bool:
        """Keep a runtime, or every runtime of a kind, from beginning anything; on disk when this returns.

        It holds on every host, and for runtimes that come later. Nothing is abandoned, accept works as ever, a run that
        executes goes on, and deadlines wait. `resume` ends it.

        Args:
            runtime_id: Which runtime, by an id that need not be there yet.
            kind: Or which kind.
            note: Why, for people; ``tenure why`` says it. At most 1,000 characters.

        Returns:
            Whether it was not on hold; else the first hold stays as it is.

        Raises:
            InvalidInput: Neither or both are given, or one that cannot be.
            RuntimeDestroyed: It never comes back.
        """
        return await self._host.holds.place(*_one_of(runtime_id, kind), check_note(note))

    @checked
    async def resume(self, runtime_id: str | None = None, *, kind: str | None = None) -> bool:
        """End the hold of a runtime, or of a kind, and no other; on disk when this returns. Whether there was one.

        Deadlines of what is unfinished are moved by as long as it lasted. What held a runtime beside it (the hold of its kind,
        the mark that `Runtime.resume` clears) holds on.

        Raises:
            InvalidInput: Neither or both are given, or one that cannot be.
        """
        return await self._host.holds.end(*_one_of(runtime_id, kind))

    async def why(self, runtime_id: str) -> dict[str, Any]:
        """Why a runtime does not run, or at which entry its run stands: the facts that ``tenure why --json`` prints.

        Also what the run does now that is not on disk, as its host says: a step that executes, ``freely`` ones too; a step that
        waits until what is recorded is reached; whether the run waits for a slot (`Behaviour.max_running`). Another host is
        asked for that, for 2 s at most; where it says nothing, the answer is what is stored.

        Raises:
            NotFound: No such runtime.
        """
        told = await super().why(runtime_id)
        actor = self._host.owned.actor(LogicalRuntimeId(runtime_id))
        if actor is not None:
            told["because"] = doing(actor, self.store.seams.wall_clock()) or told["because"]
        elif told["owner"] is not None and told["unfinished_inputs"] and told["held"] is None and not told["on_hold"]:
            # What it says is more than the store does; where it says nothing, that stands.
            with suppress(NotFound, RuntimeDestroyed, InvalidInput, Contended, DiskFull), trio.move_on_after(ASK_S):
                told["because"] = await self._host.requests.doing(LogicalRuntimeId(runtime_id)) or told["because"]
        return told


def _one_of(runtime_id: str | None, kind: str | None) -> tuple[LogicalRuntimeId | None, str | None]:
    if (runtime_id is None) is (kind is None):
        raise InvalidInput(detail="give either a runtime id or a kind", field="runtime_id")
    return None if runtime_id is None else check_runtime_id(runtime_id), check_key(kind, "kind")


def host_of(supervisor: Supervisor) -> Host:
    """The machinery of a supervisor, for `open_supervisor` and for tests."""
    return supervisor._host  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - users see what they may call
