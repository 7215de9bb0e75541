"""The verbs of a supervisor by which it owns runtimes, and gives their handles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import trio

from tenure.actors.facts import RuntimeFacts
from tenure.errors import (
    Closed,
    Error,
    KindMismatch,
    NotFound,
    RuntimeDestroyed,
    RuntimeOwned,
    StoreBroken,
    UnknownKind,
)
from tenure.persistence.facets.ownership import ownership
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.labels import check_labels
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RuntimeState,
    check_runtime_id,
)
from tenure.persistence.store import erasures_of

from .handles.foreign import ForeignRuntime
from .handles.runtime import Runtime
from .sharing import Sharing


class Owning(Sharing):
    """A supervisor, as far as it owns runtimes."""

    @checked
    async def spawn(
        self, runtime_id: str, kind: str, *, wait: bool = False, labels: Mapping[str, str] | None = None
    ) -> Runtime:
        """Own a runtime and return its handle: a new one, one that was left, or the one that this supervisor owns already.

        A stopped runtime is revived. Ownership and token are on disk when this returns; for a runtime of one's own
        nothing is minted. With `wait`, a runtime of another host is waited for until that host lets go of it or is lost.

        Args:
            runtime_id: Which runtime.
            kind: Names its behaviour.
            wait: Wait while another host has it.
            labels: Of a new runtime, as `Runtime.relabel` takes them, at most 32. One that is there keeps what it has.

        Raises:
            InvalidInput: A label cannot be.
            UnknownKind: No behaviour is registered for the kind.
            KindMismatch: The runtime is of another kind.
            RuntimeDestroyed: The id never comes back.
            RuntimeOwned: Another living host has it, and `wait` is false.
            LimitReached: The host owns `Behaviour.max_owned` of the kind, none of which is idle; or it drains.
            Closed: The host closes.

        Cancellation: before its commit is taken nothing happened; afterwards the handle is returned and the cancellation
        comes at the next checkpoint.
        """
        checked = check_runtime_id(runtime_id)
        host = self._host
        if kind not in host.behaviours:
            raise UnknownKind(kind=kind)
        given = check_labels(labels)
        while (facts := host.owned.find(checked)) is None:
            if await host.takeovers.wait(checked):
                continue
            await host.takeovers.make_room(kind)
            try:
                return self._handle(await host.takeovers.take(checked, kind, revive=True, labels=given))
            except RuntimeOwned as exc:
                if await host.watch.bury(exc.holder):
                    continue
                if not wait:
                    raise
            await host.news.wait_free(checked)
        if facts.kind != kind:
            raise KindMismatch(runtime_id=checked, stored=facts.kind, given=kind)
        await self._revive(facts)
        return self._handle(facts)

    @checked
    async def spawn_many(
        self, runtime_ids: Iterable[str], kind: str, *, labels: Mapping[str, str] | None = None
    ) -> list[Runtime]:
        """Spawn many runtimes of one kind, as `spawn` does each, without a task for each. Their handles, in order.

        Each has its own token; sixty-four share a commit. What one of them is refused keeps no other from being spawned.

        Raises:
            InvalidInput, UnknownKind: An id, a label or the kind cannot be; nothing is spawned.
            Error: What else `spawn` raises, of the first that was refused; the others are owned.

        Cancellation: what the writer has not taken by then is not spawned; the rest is, and the next spawn of it returns its
        handle.
        """
        ids = [check_runtime_id(each) for each in ([runtime_ids] if isinstance(runtime_ids, str) else [*runtime_ids])]
        host, given = self._host, check_labels(labels)
        if kind not in host.behaviours:
            raise UnknownKind(kind=kind)
        await host.takeovers.take_many([*dict.fromkeys(ids)], kind, given)
        await trio.lowlevel.checkpoint()
        found: list[Runtime] = []
        refused: Error | None = None
        for each in ids:
            facts = host.owned.find(each)
            if facts is not None and facts.kind == kind and facts.standing.state is RuntimeState.ATTACHED:
                found.append(self._handle(facts))
                continue
            try:
                found.append(await self.spawn(each, kind, labels=labels))  # it is stopped, or says why it is refused
            except (StoreBroken, Closed):
                raise
            except Error as exc:
                refused = refused or exc
        if refused is not None:
            raise refused
        return found

    @checked
    def runtime(self, runtime_id: str) -> Runtime:
        """The handle of a runtime that this supervisor owns. Raises `NotFound`.

        No host owns one whose run was put aside (`Behaviour.aside_after_s`): `find` gives any runtime of the store.
        """
        facts = self._host.owned.find(check_runtime_id(runtime_id))
        if facts is None:
            raise NotFound(what="runtime of this host", key=runtime_id, advice="spawn it, or use find()")
        return self._handle(facts)

    @checked
    async def find(self, runtime_id: str) -> Runtime | ForeignRuntime:
        """The handle of any runtime of the store; verbs of one that another host owns go to it. Raises `NotFound`."""
        checked = check_runtime_id(runtime_id)
        found = await self._find(checked)
        if found is None:
            raise NotFound(what="runtime", key=checked)
        return found

    async def _find(self, runtime_id: LogicalRuntimeId) -> Runtime | ForeignRuntime | None:
        host = self._host
        if host.owned.owns(runtime_id):
            return self.runtime(runtime_id)
        found = await self.store.read(partial(ownership.find_holding, runtime_id=runtime_id))
        if found is None:
            return None
        of_host = host.requests, host.news, host.ingress, host.holds, host.follow
        return ForeignRuntime(runtime_id, found.kind or "", *of_host, erasures=erasures_of(self.store))

    async def _revive(self, facts: RuntimeFacts) -> None:
        """Revive a stopped runtime of this host, as it is stored by now."""
        actor = self._host.owned.actor(facts.runtime_id)
        if actor is not None and actor.unread:
            await actor.reread()
        if facts.is_destroyed:
            raise RuntimeDestroyed(runtime_id=facts.runtime_id)
        if facts.standing.state is RuntimeState.STOPPED:
            await self._host.actors.of(facts).apply(LifecycleEvent.ATTACH)

    def _handle(self, facts: RuntimeFacts) -> Runtime:
        host = self._host
        return Runtime(
            facts,
            host.actors,
            host.requests,
            host.ingress,
            host.holds,
            host.follow,
            erasures=erasures_of(self.store),
            news=host.news,
        )
