"""The history of an input, a line of JSON for each commit that moved it; and the order of several."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from tenure.persistence.commits.transaction import Abandoned, Transaction
from tenure.persistence.engines.engine import Row
from tenure.persistence.facets.records import became
from tenure.persistence.model.values import AbandonReason, InputId, InputPhase

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(tuple[float, str | None, str, str | None]).decode


def history_line(now: float, before: InputPhase | None, after: InputPhase, reason: str | None = None) -> str:
    """One entry of an input's history: a line of JSON, ``[time, from, to, reason]``."""
    return _encode((now, before, after, reason)).decode() + "\n"


def waited_s(history: str) -> float | None:
    """Seconds for which an input that was just staged had waited in its inbox; None where its history does not say."""
    lines = history.splitlines()[-2:]
    try:
        (queued_at, _, queued, _), (staged_at, _, staged, _) = map(_decode, lines)
    except (ValueError, TypeError, msgspec.MsgspecError):
        return None
    if queued != InputPhase.QUEUED or staged != InputPhase.STAGED:
        return None
    return max(float(staged_at - queued_at), 0.0)  # the wall clock may have been set


def in_order(rows: list[Row]) -> tuple[InputId, ...]:
    """Ids of rows of (id, admission), by admission; damaged ones last: a runtime with such a row can still be ended."""
    return tuple(input_id for input_id, _ in sorted(rows, key=_admission))


def abandoned(
    tx: Transaction, rows: list[Row], reason: AbandonReason, *, runtime: int | None = None, run: int | None = None
) -> tuple[InputId, ...]:
    """As `in_order`, of what was abandoned; noted, so that a run may follow it at the end of this commit."""
    input_ids = in_order(rows)
    if input_ids and reason is not AbandonReason.DESTROYED:
        became.have_ended(tx, input_ids, InputPhase.ABANDONED, runtime=runtime, run=run, reason=reason)
        tx.abandoned.append(Abandoned(runtime=runtime, run=run, reason=reason, input_ids=input_ids))
    return input_ids


def _admission(row: Row) -> float:
    return row[1] if isinstance(row[1], int) else math.inf
