"""The simulation sees: each of these mistakes, made in the real code, turns a seed red."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from proof.simulated.agents import torment
from tenure.actors.commit_channel import CommitChannel
from tenure.persistence.commits.commit import (
    Change,
    CommitResult,
)
from tenure.persistence.commits.facet import Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.sqlite import writer
from tenure.persistence.facets.inbox import (
    batches,
    receipts,
)
from tenure.persistence.facets.records import run_records
from tenure.persistence.facets.runs import (
    entries,
    runs,
    sends,
)
from tenure.persistence.model.values import (
    DurabilityClass,
    RunApplyBoundary,
)
from tenure.persistence.writing import group
from tenure.supervisor.accepting.publishing import Publishing
from tenure.testing.simulation import SimulationFailure

SEEDS = 12
HOURS = 0.4

Mistake = Callable[[pytest.MonkeyPatch], None]


def replace_handler(
    patch: pytest.MonkeyPatch, handlers: Any, change: type[Change], apply: Callable[[Transaction, Any], Any]
) -> None:
    patch.setitem(handlers, change, Handler(apply=apply))


def nothing(*_: object) -> None:
    """What stands in for what was left out."""


def no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(group, "check_fence", nothing)


def attempts_not_stored(patch: pytest.MonkeyPatch) -> None:
    real = runs.FACET.handlers[runs.FailRun].apply

    def fail(tx: Transaction, change: runs.FailRun) -> Any:
        answer = real(tx, change)
        tx.forget()
        return answer

    replace_handler(patch, runs.FACET.handlers, runs.FailRun, fail)


def consumed_at_a_checkpoint(patch: pytest.MonkeyPatch) -> None:
    real = receipts.FACET.handlers[receipts.MintReceipt].apply

    def mint(tx: Transaction, change: receipts.MintReceipt) -> Any:
        receipt = real(tx, change)
        if change.boundary is RunApplyBoundary.RUN_CHECKPOINT:
            run = run_records.current(tx, change.runtime_id, change.run_id)
            batches.consume(tx, run.run, receipt.sequence)
        return receipt

    replace_handler(patch, receipts.FACET.handlers, receipts.MintReceipt, mint)


def seen_before_stored(patch: pytest.MonkeyPatch) -> None:
    real = CommitChannel.decide_in_turn

    async def commit(
        self: CommitChannel, decide: Callable[[], Sequence[Change]], on_settled: Any = None
    ) -> CommitResult:
        changes = decide()
        if any(isinstance(change, entries.RecordEntry) for change in changes):
            self.submit(*changes)
            return CommitResult(group=0, changes=tuple(changes), values=(None,) * len(changes))
        return await real(self, decide, on_settled)

    patch.setattr(CommitChannel, "decide_in_turn", commit)


def dispatch_not_stored(patch: pytest.MonkeyPatch) -> None:
    real = entries.FACET.handlers[entries.RecordEntry].apply

    def record(tx: Transaction, change: entries.RecordEntry) -> Any:
        of_never = change.status is entries.EntryStatus.DISPATCHED and change.repeat is entries.Repeat.NEVER
        return None if of_never else real(tx, change)

    replace_handler(patch, entries.FACET.handlers, entries.RecordEntry, record)


def waiter_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Publishing, "abandoned", nothing)


def no_fsync(patch: pytest.MonkeyPatch) -> None:
    pragmas: Any = writer.SYNCHRONOUS
    patch.setitem(pragmas, DurabilityClass.DISK, "NORMAL")


def send_lost(patch: pytest.MonkeyPatch) -> None:
    def send(tx: Transaction, change: sends.Send) -> Any:
        return sends.Sent(target=change.target, input_id=change.input_id, refused=None)

    replace_handler(patch, sends.FACET.handlers, sends.Send, send)


def simulate_all() -> None:
    for seed in range(SEEDS):
        torment(seed, HOURS).run(seed)


@pytest.mark.turns(10)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (no_fence, "landed under token"),
        (attempts_not_stored, "0 failures"),
        (consumed_at_a_checkpoint, "was consumed at a checkpoint"),
        (seen_before_stored, "was seen"),
        (dispatch_not_stored, "may never be repeated"),
        (waiter_forgotten, "its ticket was forgotten"),
        (no_fsync, "token counter went back"),
        (send_lost, "sent"),
    ],
)
def test_a_mistake_in_the_real_code_turns_a_seed_red(
    mistake: Mistake, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)

    with pytest.raises(SimulationFailure) as failed:
        simulate_all()

    assert words in failed.value.reason
