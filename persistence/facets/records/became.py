"""Events: what became of the inputs and runs of a runtime, as entries of its output (design §22).

Written where the behaviour that begins its runs wants that, by whatever commit they follow from, also one of another host: a
chunk for all events of a runtime in a commit, after what the run has said in it. So events and words stand in one order, and
a runtime without events pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.model.codec import encode
from tenure.persistence.model.output import OutputKind, Said
from tenure.persistence.model.values import InputId, InputPhase, LogicalRuntimeId, RunId

from . import runtimes, spoken

_WAITING: Final = "became"

ERROR_LIMIT: Final = 2_000
"""Most characters of an error that an event says; the run has all of it."""


def want(tx: Transaction, record: runtimes.RuntimeRecord, *, events: bool) -> None:
    """From now on the events of this runtime are written, or no longer."""
    if record.events != events:
        record.events = int(events)
        tx.write("became.wanted", runtime=record.runtime, events=record.events)


def run_is(tx: Transaction, record: runtimes.RuntimeRecord, run_id: RunId, state: str, **more: Any) -> None:
    """A run of the runtime is ``begun``, ``again``, ``joined``, ``failed``, ``aside`` or ``ended`` with this commit."""
    if record.events:
        _add(tx, record, OutputKind.RUN, run_id, {"state": state, **more})


def run_failed(
    tx: Transaction, record: runtimes.RuntimeRecord, run_id: RunId, error: str, retry_at: float | None
) -> None:
    """An attempt of a run has failed with this commit, and is tried again then."""
    run_is(tx, record, run_id, "failed", error=error[:ERROR_LIMIT], retry_at=retry_at)


def inputs_are(
    tx: Transaction,
    record: runtimes.RuntimeRecord,
    run_id: RunId | str,
    input_ids: Iterable[InputId],
    phase: InputPhase,
    *,
    reason: str | None = None,
    successor: InputId | None = None,
) -> None:
    """Inputs of the runtime have ended with this commit; `run_id` is that of their run, or ""."""
    if record.events:
        why = {"reason": reason, "successor": successor}
        said = {name: value for name, value in why.items() if value is not None}
        for input_id in input_ids:
            _add(tx, record, OutputKind.INPUT, run_id, {"input_id": input_id, "phase": phase, **said})


def have_ended(
    tx: Transaction,
    input_ids: tuple[InputId, ...],
    phase: InputPhase,
    *,
    runtime: int | None = None,
    run: int | None = None,
    reason: str | None = None,
    successor: InputId | None = None,
) -> None:
    """As `inputs_are`, of a runtime or a run that is known by its key."""
    if not input_ids:
        return
    row = tx.one("became.of_runtime", runtime=runtime) if run is None else tx.one("became.of_run", run=run)
    if row is not None:
        check_row(row, (str, str), "runtime", runtime)
        record = runtimes.load(tx, LogicalRuntimeId(row[0]))
        inputs_are(tx, record, row[1], input_ids, phase, reason=reason, successor=successor)


def _add(tx: Transaction, record: runtimes.RuntimeRecord, kind: OutputKind, run_id: str, value: dict[str, Any]) -> None:
    waiting: list[Said] = tx.notes.setdefault(f"{_WAITING} {record.runtime}", [])
    waiting.append(Said(kind, place=run_id, value=encode(value, "event")))
    tx.write_later(_WAITING, record.runtime, partial(spoken.note, tx, record.runtime, waiting))
