"""The speech of one execution of a run: what it has emitted and is not on disk yet (design §22).

It is said by the behaviour, by steps in threads and by asyncio functions of the program, and written by two: each commit of
the run takes all of it along, and where none comes, a flush does. Both send what was sent before and is not heard of; the
facet leaves out what is there. So neither an order nor a count depends on which of them lands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, final

import trio

from tenure.errors import Contended, DiskFull, Error, PayloadTooLarge, RunEnded
from tenure.persistence.commits.commit import CommitResult
from tenure.persistence.facets.output.output import ENTRY_WEIGHT, AppendOutput
from tenure.persistence.model.output import OUTPUT_BYTES, OutputKind, Said
from tenure.persistence.model.values import LogicalRuntimeId, RunId
from tenure.persistence.writing.group import Outcome

DATA: Final = str(OutputKind.DATA)


class Submit(Protocol):
    """The way of a runtime's commits; see `CommitChannel.submit`."""

    def __call__(self, change: AppendOutput, /, *, on_settled: Callable[[Outcome], None]) -> object:
        """Queue a commit and return at once."""
        ...


class StepVoice(Protocol):
    """Who says something in a step.

    Attributes:
        open: Whether its attempt goes on.
        first: The number of the first entry that it has said, or None.
    """

    open: bool
    first: int | None


class Flushes(Protocol):
    """Flushes what no commit takes along.

    Attributes:
        lock: Held while a speech is made.
        thread: The thread of the host's loop.
        token: The way into it.
    """

    lock: threading.Lock
    thread: int
    token: trio.lowlevel.TrioToken

    def has_said(self, speech: Speech, /, *, now: bool) -> None:
        """Something waits to be written; `now`: a task waits for that."""
        ...

    def on_disk(self, runtime_id: LogicalRuntimeId, /) -> None:
        """Something has landed: those who follow may read."""
        ...

    def landed(self, runtime_id: LogicalRuntimeId, entries: Sequence[Said], lag_s: float, /) -> None:
        """These have landed, the oldest after so long."""
        ...


@final
class Speech:
    """What one execution of a run says. Entries are counted from 0; those below `start` are on disk.

    Attributes:
        runtime_id: Whose.
        run_id: Of which run.
        attempt: See `OutputEntry`.
        waits_since: Since when (trio's clock) something waits to be written; known where the host has hooks.
    """

    def __init__(
        self,
        runtime_id: LogicalRuntimeId,
        run_id: RunId,
        name: str,
        attempt: int,
        *,
        submit: Submit,
        flushes: Flushes,
        limit: int,
    ) -> None:
        """Nothing is said yet. `name` is its alone; at most `limit` bytes wait to be written."""
        self.runtime_id = runtime_id
        self.run_id = run_id
        self.attempt = attempt
        self._name = name
        self._submit = submit
        self._flushes = flushes
        self._limit = limit
        self._half = limit // 2  # from there on it is on its way to the disk, before it is full
        self._waiting: list[Said] = []
        self._start = 0
        # Bytes that were said by the behaviour, by steps, and what of both is on disk. Each has one writer, the second under
        # the lock: so the behaviour takes none for a word, where it would cost a tenth of it.
        self._own_size = self._steps_size = self._landed_size = 0
        self._ends: dict[int, int] = {}  # of each change that was made: how much was said up to its end
        self._in_flight = False  # whether a flush is on its way
        self._closed: Error | None = None
        self._lock = threading.Lock()  # over what waits: threads of steps say, the trio thread lets go
        self._moved = trio.Event()
        self.waits_since: float | None = None

    @property
    def said(self) -> int:
        """How many entries were said."""
        return self._start + len(self._waiting)

    @property
    def _size(self) -> int:
        return self._own_size + self._steps_size - self._landed_size

    @property
    def waits(self) -> bool:
        """Whether a flush would bring something to disk, and none is on its way."""
        return bool(self._waiting) and not self._in_flight and self._closed is None

    # Saying

    def say_here(self, said: Said) -> bool:
        """Add an entry of the behaviour, in the trio thread. Else as `say`."""
        size = len(said.value)
        before = self._own_size + self._steps_size - self._landed_size
        after = before + size + ENTRY_WEIGHT
        if size > OUTPUT_BYTES or self._closed is not None or (after > self._limit and before):
            return self.say(said)  # which refuses it
        self._waiting.append(said)
        self._own_size += size + ENTRY_WEIGHT
        if not before or before < self._half <= after:
            self._tell(now=after >= self._half)
        return True

    def say(self, said: Said, voice: StepVoice | None = None, *, forced: bool = False) -> bool:
        """Add an entry, from any thread. False where the buffer is full, or the execution has ended.

        `voice` is that of a step which says it, and `forced`: there is room for what tenure says itself.

        Raises:
            PayloadTooLarge: It is over `OUTPUT_BYTES`.
        """
        size = len(said.value)
        if size > OUTPUT_BYTES:
            raise PayloadTooLarge(size=size, limit=OUTPUT_BYTES)
        with self._lock:
            if self._closed is not None:
                return False
            before = self._own_size + self._steps_size - self._landed_size
            after = before + size + ENTRY_WEIGHT
            full = after > self._limit and before and not forced
            if voice is not None:
                if not voice.open:
                    return False
                if voice.first is None and not full:
                    voice.first = self._start + len(self._waiting)
            if not full:
                self._waiting.append(said)
                self._steps_size += size + ENTRY_WEIGHT
        if not before or (after >= self._half and (full or before < self._half)):
            self._tell(now=after >= self._half)  # full too: who emits in a step waits for nothing, and may try again
        return not full

    def wait_for_threads(self) -> None:
        """Return when every `say` has returned that has begun."""
        with self._lock:
            return

    async def say_when_room(self, said: Said) -> None:
        """Add an entry, and wait only while the buffer is full. Raises `PayloadTooLarge`, or why the execution has ended."""
        while not self.say_here(said):
            self._check_open()
            await self._moved.wait()

    async def flush(self) -> None:
        """Wait until what was said is on disk. Raises why the execution has ended before."""
        number = self.said
        while self._start < number:
            self._check_open()
            self._tell(now=True)
            await self._moved.wait()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._closed

    def _tell(self, *, now: bool) -> None:
        tell = partial(self._flushes.has_said, self, now=now)
        if threading.get_ident() == self._flushes.thread:
            tell()
            return
        try:
            self._flushes.token.run_sync_soon(tell)
        except trio.RunFinishedError:
            self._closed = RunEnded(run_id=self.run_id)  # the host is gone

    # Writing; in the trio thread

    def change(self) -> AppendOutput | None:
        """What is not on disk as far as is known, for a commit of the run; None where that is nothing."""
        with self._lock:
            entries, start, size = tuple(self._waiting), self._start, self._own_size + self._steps_size
        if not entries or self._closed is not None:
            return None
        self._ends[start + len(entries)] = size
        return AppendOutput(
            runtime_id=self.runtime_id,
            run_id=self.run_id,
            speech=self._name,
            attempt=self.attempt,
            start=start,
            entries=entries,
            size=size - self._landed_size,
        )

    def flush_soon(self) -> None:
        """Submit what waits, unless a flush is on its way: it is asked for again when that has landed."""
        change = self.change() if self.waits else None
        if change is None:
            return
        try:
            self._submit(change, on_settled=partial(self._flushed, change))
        except Error as exc:
            self.close(exc)
        else:
            self._in_flight = True

    def _flushed(self, change: AppendOutput, outcome: Outcome) -> None:
        self._in_flight = False
        if isinstance(outcome, CommitResult):
            self.landed(change)
        elif not isinstance(outcome, DiskFull | Contended):  # of those nothing has landed, and it is tried again
            self.close(outcome)
        if self._waiting:  # a full disk is not asked again at once
            self._flushes.has_said(self, now=isinstance(outcome, CommitResult) and self._size >= self._half)

    def landed(self, change: AppendOutput) -> None:
        """A commit with this in it is on disk."""
        end = change.start + len(change.entries)
        new: Sequence[Said] = ()
        with self._lock:
            if end > self._start and self._closed is None:
                new = change.entries[self._start - change.start :]
                del self._waiting[: end - self._start]
                self._start, self._landed_size = end, self._ends[end]
                self._ends = {each: size for each, size in self._ends.items() if each > end}
        self._move()
        self._flushes.on_disk(self.runtime_id)
        if self.waits_since is not None and new:
            lag_s = trio.current_time() - self.waits_since
            self.waits_since = trio.current_time() if self._waiting else None
            self._flushes.landed(self.runtime_id, new, lag_s)

    def ended(self) -> None:
        """The run has ended, and its end is on disk: those who follow may read that."""
        self._flushes.on_disk(self.runtime_id)

    def close(self, error: Error | None = None) -> None:
        """The execution has ended: what is said from now on is dropped, and what is not on its way to the disk too."""
        self._closed = self._closed or error or RunEnded(run_id=self.run_id)
        with self._lock:
            self._waiting.clear()
        self._move()

    def _move(self) -> None:
        self._moved.set()
        self._moved = trio.Event()
