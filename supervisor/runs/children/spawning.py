"""Children of one run: spawned as entries of its record, and listed (design §20)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import final

import trio

from tenure.errors import ChildExists, KindMismatch, RuntimeDestroyed
from tenure.persistence.facets.ownership.spawning import DESTROYED, OF_KIND, Refused, Spawn, read_refused
from tenure.persistence.facets.runs import children as rows
from tenure.persistence.facets.runs.children import Child, OnEnd, Scope
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.model.arguments import check_key, check_value
from tenure.persistence.model.codec import decode, digest, encode
from tenure.persistence.model.entries import WAS_THERE, EntryKind, EntryStatus, parse_place
from tenure.persistence.model.labels import Labels, check_labels
from tenure.persistence.model.values import LogicalRuntimeId, SessionId, check_runtime_id
from tenure.persistence.reading.patience import patiently
from tenure.supervisor.runs.boundaries import Boundaries
from tenure.supervisor.runs.recording.asked import Asked, has_ended
from tenure.supervisor.runs.recording.branch import Branch, check_outside_of_steps
from tenure.supervisor.runs.recording.entering import Entering
from tenure.supervisor.runs.recording.flight import Flight


@final
class Spawning:
    """Spawns for one run."""

    def __init__(self, entering: Entering, boundaries: Boundaries, recorded: Iterable[RecordedEntry]) -> None:
        """Nothing is spawned in this entering yet; `recorded` is what was before."""
        self._entering = entering
        self._boundaries = boundaries
        self._places = {
            _child_id(entry): entry.place
            for entry in recorded
            if entry.kind is EntryKind.SPAWN and entry.result is not None and entry.error != WAS_THERE
        }
        self._landing: dict[LogicalRuntimeId, trio.Event] = {}

    async def spawn(
        self,
        runtime_id: str | None,
        kind: str,
        scope: Scope | str,
        on_end: OnEnd | str,
        labels: Mapping[str, str] | None,
    ) -> LogicalRuntimeId:
        """See `Run.spawn`."""
        entering = self._entering
        wanted = None if runtime_id is None else check_runtime_id(check_value(runtime_id, str, "runtime_id"))
        named = check_key(check_value(kind, str, "kind"), "kind") or ""
        how = check_value(scope, Scope, "scope"), check_value(on_end, OnEnd, "on_end")
        marks = check_labels(check_value(labels, Mapping[str, str] | None, "labels"))
        # Without labels as it was before there were any, so that the record of a run that began then still fits.
        arguments = digest(encode([wanted, *how, *([marks] if marks else [])], "arguments"))
        asked = Asked(kind=EntryKind.SPAWN, name=named, arguments=arguments)
        branch, found = entering.ask(asked)
        with entering.in_flight(branch, asked, found) as flight:
            entry = found.entry
            if entry is not None and has_ended(entry):
                self._boundaries.pass_by(flight)
                if entry.status is EntryStatus.CANCELLED:
                    await entering.wait_for_scope(asked, found)
                await trio.lowlevel.checkpoint()
                return self._given(entry, named)
            if entering.record.messages_left():
                flight.waits = True
                await entering.admit_messages(found.place, lambda: str(asked))
                flight.waits = False
            return await self._begin(flight, wanted, named, *how, marks)

    async def children(self) -> tuple[Child, ...]:
        """See `Run.children`."""
        entering = self._entering
        check_outside_of_steps(entering.saying)
        found = await patiently(partial(entering.store.read, partial(rows.of_runtime, runtime_id=entering.runtime_id)))
        for landing in [self._landing[each.runtime_id] for each in found if each.runtime_id in self._landing]:
            await landing.wait()  # whether it is new is known then, and where it stands
        # What this run will spawn again is not there yet, for it; nor what is spawned beside the branch that asks.
        stands = seen_from(entering.branch.stands_for or entering.branch)
        unreached = entering.record.unreached
        return tuple(
            [
                each
                for each in found
                if (place := self._places.get(each.runtime_id)) is None or (place not in unreached and stands(place))
            ]
        )

    async def _begin(
        self,
        flight: Flight,
        wanted: LogicalRuntimeId | None,
        kind: str,
        scope: Scope,
        on_end: OnEnd,
        labels: Labels,
    ) -> LogicalRuntimeId:
        entering, seams = self._entering, self._entering.store.seams
        child = LogicalRuntimeId(seams.new_id()) if wanted is None else wanted
        change = Spawn(
            runtime_id=entering.runtime_id,
            run_id=entering.run_id,
            child=child,
            kind=kind,
            scope=scope,
            on_end=on_end,
            labels=labels,
            session_id=SessionId(seams.new_id()),
            entry=flight.record(EntryStatus.SUCCEEDED, result=encode(child, "result")),
        )
        over = self._landing[child] = trio.Event()
        try:
            landed = await self._boundaries.land(flight, change)
            flight.begun = True
            brought: Refused | bool = landed.answer(change)
            if brought is True:
                self._places[child] = flight.place
        finally:
            over.set()
            if self._landing.get(child) is over:
                del self._landing[child]
        if isinstance(brought, Refused):
            raise _refusal(brought, kind)
        return child

    def _given(self, entry: RecordedEntry, kind: str) -> LogicalRuntimeId:
        if entry.status is EntryStatus.SUCCEEDED:
            return _child_id(entry)
        error = _refusal(read_refused(entry.error, entry.place), kind)
        self._entering.read += ((error, entry.place),)
        raise error


def _child_id(entry: RecordedEntry) -> LogicalRuntimeId:
    return LogicalRuntimeId(decode(entry.result or b"null", "spawn", entry.place))


def _refusal(refused: Refused, kind: str) -> ChildExists | RuntimeDestroyed | KindMismatch:
    if refused.why == DESTROYED:
        return RuntimeDestroyed(runtime_id=refused.child)
    if refused.why == OF_KIND:
        return KindMismatch(runtime_id=refused.child, stored=refused.kind, given=kind)
    return ChildExists(runtime_id=refused.child)


def seen_from(branch: Branch) -> Callable[[str], bool]:
    """Whether what stands at a place was asked for before, as a branch has it by now: whatever goes on beside it."""
    reached = {branch.path: branch.reached}
    while branch.around is not None:
        branch = branch.around
        reached[branch.path] = branch.reached - 1  # the last is what the inner one is a branch of

    def is_seen(place: str) -> bool:
        parsed = parse_place(place)
        while parsed is not None:
            path, number = parsed
            if path in reached:
                return number <= reached[path]
            parsed = parse_place(path.rpartition(".")[0])
        return True  # a restart has taken it over

    return is_seen
