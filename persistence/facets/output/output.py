"""What a run emits: one change, under the token of its runtime (design §22)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

from attrs import field, frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.records import run_records, runtimes, spoken
from tenure.persistence.model.output import Said
from tenure.persistence.model.values import LogicalRuntimeId, RunId

ENTRY_WEIGHT: Final = 64
"""Bytes that an entry weighs beside its value."""


@final
@frozen(kw_only=True, slots=True)
class AppendOutput(Change):
    """Append what the current run has emitted. Answer: how many entries of the speech are on disk.

    What is there already is left out: an execution sends again what it has not heard of.

    Attributes:
        runtime_id: Whose.
        run_id: The current run.
        speech: Names the execution that says it.
        attempt: See `OutputEntry`.
        start: The number of the first entry in its speech.
        entries: In order.
        size: What they weigh, where that was counted already.
        weight: See `Change.weight`.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    speech: str
    attempt: int
    start: int
    entries: tuple[Said, ...] = field(repr=False)
    size: int | None = None

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        if self.size is not None:
            return self.size
        return sum([len(each.value) for each in self.entries]) + ENTRY_WEIGHT * len(self.entries)


def _append(tx: Transaction, change: AppendOutput) -> int:
    run = run_records.current(tx, change.runtime_id, change.run_id)
    run.said = spoken.append(
        tx,
        runtimes.load(tx, change.runtime_id).runtime,
        run.run,
        change.run_id,
        run.said,
        speech=change.speech,
        attempt=change.attempt,
        start=change.start,
        entries=change.entries,
    )
    return change.start + len(change.entries)


@final
@frozen(kw_only=True, slots=True)
class PruneOutput(Change):
    """Delete chunks of output that are over, each from the beginning of its runtime's. Answer: how many entries went.

    Attributes:
        chunks: Which, rising.
        before: Only what was said before this, unix seconds.
        kinds: Of runtimes of these kinds, what holds in place of `before`.
    """

    ingress = True  # judged again in the commit

    chunks: tuple[int, ...]
    before: float
    kinds: Mapping[str, float] = field(factory=dict[str, float])

    def takes(self, said_at: object, kind: object) -> bool:
        """Whether what a runtime of this kind has said then is old enough. False for a row that is damaged."""
        before = self.kinds.get(kind, self.before) if isinstance(kind, str) else self.before
        return isinstance(said_at, int | float) and said_at < before


def _prune(tx: Transaction, change: PruneOutput) -> int:
    gone = 0
    for chunk in change.chunks:
        row = tx.one("output.judge", chunk=chunk)
        if row is None or not all(isinstance(each, int) for each in row[:2]) or not change.takes(row[2], row[3]):
            continue  # it is not over; or it is damaged, and stays for verify
        runtime, entries = row[:2]
        tx.write("spoken.delete", chunk=chunk, runtime=runtime)
        spoken.save_floor(tx, runtime, (chunk, entries))
        spoken.forget_head(tx, runtime)
        gone += entries
    return gone


FACET: Final = Facet(name="output", handlers={AppendOutput: Handler(apply=_append), PruneOutput: Handler(apply=_prune)})
