"""Verbs for many runtimes at once: those that a selector chooses, one commit each, in slices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Protocol, final

from attrs import define, field, frozen

from tenure.errors import Closed, Corrupt, Error, InvalidInput, InvalidTransition, NotFound, ReadFailed, StoreBroken
from tenure.persistence.commits.rows import PAGE
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records.labels import RECORD
from tenure.persistence.facets.runs import dead_letters
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.values import AbandonReason, InputId, LogicalRuntimeId, RuntimeState
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import together
from tenure.persistence.store import Store
from tenure.persistence.upkeep.inspect import EVERY, RuntimeLine, Wanted, list_runtimes

from .foreign import ForeignRuntime
from .runtime import Runtime

SLICE: Final = 64
"""Runtimes that are looked at in one read, and whose verbs are on their way at once."""

NAMED: Final = 20
"""Most ids that an answer names; the others it counts."""

REASONS: Final = (*[each.value for each in AbandonReason if each is not AbandonReason.DESTROYED], dead_letters.REFUSED)
"""Reasons of dead letters that can be tried again."""

_OVER: Final = frozenset({RuntimeState.STOPPED, RuntimeState.DESTROYED})

Find = Callable[[str], Awaitable[Runtime | ForeignRuntime]]
Ask = Callable[[Runtime | ForeignRuntime], Awaitable[object]]


class Those(Protocol):
    """Says for which of some runtimes there is something to be done."""

    def __call__(self, statements: Statements, /, *, runtime_ids: Sequence[LogicalRuntimeId]) -> list[LogicalRuntimeId]:
        """In their order."""
        ...


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

    async def retry(
        self,
        reason: str = AbandonReason.MAX_ATTEMPTS_EXHAUSTED,
        *,
        fresh: bool = False,
        version: str | None = None,
        dry_run: bool = False,
    ) -> Selected:
        """See `Runtime.retry`: every dead letter with this reason, one commit each. Skips what has none, or is destroyed.

        Args:
            reason: As a dead letter has it: one of `AbandonReason` but ``destroyed``, or ``refused`` of a send.
            fresh: See `Runtime.retry`, as `version`.
            version: Which version of the behaviour goes on.
            dry_run: Only say for which runtimes.

        Raises:
            InvalidInput: There is no such reason.
        """
        if reason not in REASONS:
            raise InvalidInput(detail=f"it is none of {', '.join(REASONS)}", field="reason")

        async def ask(handle: Runtime | ForeignRuntime) -> None:
            await retry_all(self._store, handle, reason, fresh=fresh, version=version)

        return await self._each(
            "retry",
            lambda line: line.state == RuntimeState.DESTROYED,
            ask,
            dry_run,
            partial(_with_letters, reason=reason),
        )

    async def _each(
        self,
        verb: str,
        over: Callable[[RuntimeLine], bool],
        ask: Ask,
        dry_run: bool,  # noqa: FBT001 - the verbs above name it
        those: Those | None = None,
    ) -> Selected:
        count, after = _Count(), ""
        while page := await self._store.read(partial(list_runtimes, after=after, count=SLICE, wanted=self._wanted)):
            after = page[-1].runtime_id
            known = [line for line in page if not self._is_unknown(line, count)]
            left = [line.runtime_id for line in known if not over(line)]
            if those is not None:
                left = await self._store.read(partial(those, runtime_ids=left))
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


# Dead letters


async def retry_all(
    store: Store, handle: Runtime | ForeignRuntime, reason: str, *, fresh: bool, version: str | None
) -> tuple[InputId, ...]:
    """Queue every dead letter of a runtime with this reason again, by id, one commit each; what is queued.

    One that was retried or dropped meanwhile is passed over, as is what came back with the batch of another.

    Raises:
        What `Runtime.retry` raises otherwise: the letters before it are queued.
    """
    queued: dict[InputId, None] = {}
    for input_id in await store.read(partial(_letters, runtime_id=handle.runtime_id, reason=reason)):
        if input_id not in queued:
            try:
                queued |= dict.fromkeys(await handle.retry(input_id, fresh=fresh, version=version))
            except NotFound as exc:
                if exc.what != "dead letter":  # but the target of a send
                    raise
            except InvalidTransition:
                continue  # another has retried it
    return tuple(queued)


def _letters(statements: Statements, runtime_id: LogicalRuntimeId, reason: str) -> list[InputId]:
    found: list[InputId] = []
    after = InputId("")
    while page := dead_letters.of_runtime(statements, runtime_id, after, PAGE):
        after = page[-1].input_id
        found += [each.input_id for each in page if each.reason == reason]
    return found


def _with_letters(
    statements: Statements, *, runtime_ids: Sequence[LogicalRuntimeId], reason: str
) -> list[LogicalRuntimeId]:
    return [runtime_id for runtime_id in runtime_ids if _has_letters(statements, runtime_id, reason)]


def _has_letters(statements: Statements, runtime_id: LogicalRuntimeId, reason: str) -> bool:
    try:
        return bool(_letters(statements, runtime_id, reason))
    except ReadFailed:
        return True  # to try it says what is wrong
