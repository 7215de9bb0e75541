"""Verbs for many runtimes at once: those that a selector chooses, one commit each, in slices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, final

from attrs import define, field, frozen

from tenure.errors import Closed, Corrupt, Error, InvalidInput, StoreBroken
from tenure.persistence.facets.records.labels import RECORD
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import together
from tenure.persistence.store import Store
from tenure.persistence.upkeep.inspect import EVERY, RuntimeLine, Wanted, list_runtimes

from .handle import Handle

SLICE: Final = 64
"""Runtimes that are looked at in one read, and whose verbs are on their way at once."""

NAMED: Final = 20
"""Most ids that an answer names; the others it counts."""

_OVER: Final = frozenset({RuntimeState.STOPPED, RuntimeState.DESTROYED})

Find = Callable[[str], Awaitable[Handle]]
Ask = Callable[[Handle], Awaitable[object]]


@final
@frozen(kw_only=True, slots=True)
class Selected:
    """What a verb did for the runtimes of a selection; or, of a dry run, what it would do.

    Attributes:
        verb: Which one.
        dry_run: Nothing was changed.
        done: For how many runtimes it was carried out, or would be.
        skipped: How many have nothing left to be done.
        refused: For how many it was refused.
        first: Ids of those of `done`, the first 20.
        errors: Ids of those of `refused` with the error, the first 20. One whose labels cannot be read is `Corrupt`, where
            labels choose.
    """

    verb: str
    dry_run: bool
    done: int
    skipped: int
    refused: int
    first: tuple[LogicalRuntimeId, ...]
    errors: tuple[tuple[LogicalRuntimeId, Error], ...] = field(repr=False)


@final
@define(kw_only=True, slots=True)
class _Count:
    """The same, while it goes on."""

    done: int = 0
    skipped: int = 0
    refused: int = 0
    first: list[LogicalRuntimeId] = field(factory=list[LogicalRuntimeId])
    errors: list[tuple[LogicalRuntimeId, Error]] = field(factory=list[tuple[LogicalRuntimeId, Error]])

    def carried_out(self, runtime_id: LogicalRuntimeId) -> None:
        self.done += 1
        if len(self.first) < NAMED:
            self.first.append(runtime_id)

    def was_refused(self, runtime_id: LogicalRuntimeId, error: Error) -> None:
        self.refused += 1
        if len(self.errors) < NAMED:
            self.errors.append((runtime_id, error))


@final
@checked
class Selection:
    """The runtimes that a selector chooses, as they are when a verb looks at them. Made by `Supervisor.select`.

    Every verb goes through them by id, in slices, each runtime in a commit of its host's; it skips those that have nothing left
    to be done. So a call that was cut off, by whatever, is made again and goes on. One that is refused for a runtime says so in
    its answer and goes on with the next.

    Raises:
        StoreBroken, Closed: The store has stopped, or the supervisor was closed.
        DiskFull, Contended: There is no room, or no way to the file, just now; call again.

    Cancellation: verbs that were taken are carried out, no further ones begin.
    """

    def __init__(self, store: Store, wanted: Wanted, find: Find) -> None:
        """Those that are wanted. Raises `InvalidInput` where that is every runtime of the store."""
        if wanted == EVERY:
            raise InvalidInput(detail="say which runtimes: that would be all of them", field="select")
        self._store, self._wanted, self._find = store, wanted, find

    async def retire(self, *, dry_run: bool = False) -> Selected:
        """See `Runtime.retire`. Skips what is retired, stopped or destroyed."""
        over = _OVER | {RuntimeState.RETIRED}
        return await self._each("retire", lambda line: line.state in over, lambda handle: handle.retire(), dry_run)

    async def stop(self, *, dry_run: bool = False) -> Selected:
        """See `Runtime.stop`. Skips what is stopped or destroyed."""
        return await self._each("stop", lambda line: line.state in _OVER, lambda handle: handle.stop(), dry_run)

    async def reset(self, *, dry_run: bool = False) -> Selected:
        """See `Runtime.reset`. Skips what has no unfinished input: there is nothing to abandon."""

        def over(line: RuntimeLine) -> bool:
            return line.state in _OVER or not line.inputs

        return await self._each("reset", over, lambda handle: handle.reset(), dry_run)

    async def resume(self, *, hold: bool = False, dry_run: bool = False) -> Selected:
        """See `Runtime.resume`. Skips what is not held; with `hold`, what is not on hold. What its kind keeps stays kept."""

        def over(line: RuntimeLine) -> bool:
            return line.state == RuntimeState.DESTROYED or not (line.on_hold if hold else line.held)

        return await self._each("resume", over, lambda handle: handle.resume(hold=hold), dry_run)

    async def hold(self, note: str = "", *, dry_run: bool = False) -> Selected:
        """See `Runtime.hold`. Skips what is on hold, or destroyed. Of runtimes that come later it says nothing."""

        def over(line: RuntimeLine) -> bool:
            return line.state == RuntimeState.DESTROYED or line.on_hold

        return await self._each("hold", over, lambda handle: handle.hold(note), dry_run)

    async def destroy(self, *, dry_run: bool = False) -> Selected:
        """See `Runtime.destroy`. Skips what is destroyed."""
        destroyed = RuntimeState.DESTROYED
        return await self._each(
            "destroy", lambda line: line.state == destroyed, lambda handle: handle.destroy(), dry_run
        )

    async def _each(
        self,
        verb: str,
        over: Callable[[RuntimeLine], bool],
        ask: Ask,
        dry_run: bool,  # noqa: FBT001 - the verbs above name it
    ) -> Selected:
        count, after = _Count(), ""
        while page := await self._store.read(partial(list_runtimes, after=after, count=SLICE, wanted=self._wanted)):
            after = page[-1].runtime_id
            known = [line for line in page if not self._is_unknown(line, count)]
            left = [line.runtime_id for line in known if not over(line)]
            count.skipped += len(known) - len(left)
            if dry_run:
                for runtime_id in left:
                    count.carried_out(runtime_id)
            else:
                await together(*(partial(self._one, runtime_id, ask, count) for runtime_id in left))
        return Selected(
            verb=verb,
            dry_run=dry_run,
            done=count.done,
            skipped=count.skipped,
            refused=count.refused,
            first=tuple(sorted(count.first)),
            errors=tuple(count.errors),
        )

    def _is_unknown(self, line: RuntimeLine, count: _Count) -> bool:
        """Whether it is not known that it is chosen: its labels are damaged. Nothing is done to it, and the answer says so."""
        if not self._wanted.labels or line.labels is not None:
            return False
        detail = "its labels cannot be read: whether it is chosen is not known, and nothing was done to it"
        count.was_refused(line.runtime_id, Corrupt(record=RECORD, key=line.runtime_id, detail=detail))
        return True

    async def _one(self, runtime_id: LogicalRuntimeId, ask: Ask, count: _Count) -> None:
        try:
            await ask(await self._find(runtime_id))
        except (StoreBroken, Closed, *NOT_NOW):
            raise
        except Error as exc:
            count.was_refused(runtime_id, exc)
        else:
            count.carried_out(runtime_id)
