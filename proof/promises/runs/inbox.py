"""Inputs: what was accepted is there, and what has ended stays ended."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from proof.promises.facet import (
    FacetProof,
    Promised,
    Rows,
)
from proof.promises.pruned import erased_runtimes, pruned_runtimes
from proof.stories.inbox import brought_inputs, delayed_inputs, late_inputs, policies
from proof.stories.runs import runs_that_end_badly
from tenure.persistence.facets.inbox import (
    delays,
    input_records,
    inputs,
    repair,
)
from tenure.persistence.facets.runs import dead_letters, deadlines
from tenure.persistence.facets.runs.deadlines import LATE
from tenure.persistence.model.inputs.phases import is_terminal
from tenure.persistence.model.values import InputId, InputPhase


def accepted(change: inputs.AcceptInput, answer: inputs.AcceptedInput) -> Promised:
    """The input is there, with its key and content; a known key promised it before."""
    if answer.deduplicated:
        return []
    made = () if change.newcomer is None else [("of kind", (change.runtime_id, change.newcomer.kind))]
    return [
        *made,
        ("input", (change.runtime_id, answer.input_id, change.idempotency_key, change.payload_digest)),
        *(("replaced", (change.runtime_id, each, answer.input_id)) for each in answer.replaced),
        *([("ended input", (change.runtime_id, answer.input_id, answer.phase))] if is_terminal(answer.phase) else []),
    ]


def check_inputs(rows: Rows) -> None:
    """Inputs are there, ended ones ended, and those that wait have a payload."""
    known = {
        (runtime_id, input_id): (key, digest, phase)
        for runtime_id, input_id, key, digest, phase in rows.of(
            "SELECT runtime_id, input_id, idempotency_key, payload_digest, phase FROM inputs JOIN runtimes USING (runtime)"
        )
    }
    pruned, erased = pruned_runtimes(rows), erased_runtimes(rows)
    kinds = dict(rows.of("SELECT runtime_id, kind FROM runtimes"))
    for runtime_id, kind in rows.history.acknowledged("of kind"):
        assert kinds.get(runtime_id) == kind, f"runtime {runtime_id} was made of kind {kind}: {kinds.get(runtime_id)}"
    for runtime_id, input_id, key, digest in rows.history.acknowledged("input"):
        found = known.get((runtime_id, input_id))
        if found is None and (runtime_id in erased or (runtime_id in pruned and key is None)):
            continue
        assert found is not None, f"input {input_id} of {runtime_id} was acknowledged and is lost"
        assert found[:2] == (key, digest), f"input {input_id} has another key or content"
    for runtime_id, input_id, phase in rows.history.acknowledged("ended input"):
        found = known.get((runtime_id, input_id))
        if found is None and runtime_id in pruned:
            continue
        assert found is not None, f"input {input_id} of {runtime_id} had ended and is lost"
        assert found[2] == phase, f"input {input_id} had ended as {phase} and is {found[2]}"
    for input_id, digest, payload in rows.of(
        "SELECT input_id, payload_digest, payload FROM inputs LEFT JOIN payloads USING (input) WHERE finished_at IS NULL"
    ):
        assert payload is not None, f"the payload of input {input_id} is lost"
        assert hashlib.sha256(payload).digest() == digest, f"the payload of input {input_id} is another"
    for runtime_id, input_id, successor in rows.history.acknowledged("replaced"):
        stored = rows.of(
            "SELECT phase, successor FROM inputs JOIN runtimes USING (runtime) WHERE runtime_id = ? AND input_id = ?",
            runtime_id,
            input_id,
        )
        assert stored in ([("superseded", successor)], [("coalesced", successor)]), (
            f"input {input_id} was replaced: {stored}"
        )
    rows.none(
        "SELECT input_id FROM inputs i WHERE phase IN ('superseded', 'coalesced') AND NOT EXISTS"
        " (SELECT 1 FROM inputs n WHERE n.runtime = i.runtime AND n.input_id = i.successor)",
        "an input made room for one that is not there",
    )
    rows.none(
        "SELECT input_id FROM inputs i WHERE phase = 'queued' AND supersession_key IS NOT NULL"
        " GROUP BY runtime, kind, supersession_key HAVING count(*) > 1",
        "two inputs wait where one takes the place of the other",
    )
    rows.none("SELECT input FROM payloads WHERE input NOT IN (SELECT input FROM inputs)", "a payload without its input")


def dropped(change: dead_letters.DropDeadLetter, _answer: None) -> Promised:
    """The dead letter is gone and its key stays."""
    return [("dropped", (change.runtime_id, change.input_id))]


def retried(change: dead_letters.RetryDeadLetter, answer: dead_letters.Retried) -> Promised:
    """A send that is retried is with its target; an input of the runtime itself may end again at any time."""
    if answer.runtime_id == change.runtime_id:
        return []
    return [("sent again", (change.input_id, answer.runtime_id, *answer.input_ids))]


def check_dropped(rows: Rows) -> None:
    """What was dropped did not come back."""
    for runtime_id, input_id in rows.history.acknowledged("dropped"):
        doubt = rows.of("SELECT in_doubt FROM runs WHERE run_id = ?", input_id)
        if doubt:
            assert doubt == [(0,)], f"the doubt of run {input_id} came back"
            continue
        sent = rows.of("SELECT refused, payload FROM sends WHERE input_id = ?", input_id)
        if sent:
            assert sent[0][1] is None, f"the payload of the refused send {input_id} came back"
            continue
        left = rows.of(
            "SELECT pruned_at, payload FROM inputs JOIN runtimes USING (runtime) LEFT JOIN payloads USING (input)"
            " WHERE runtime_id = ? AND input_id = ?",
            runtime_id,
            input_id,
        )
        assert len(left) == 1, f"the dead letter {input_id} lost its key"
        assert left[0][0] is not None, f"the dead letter {input_id} came back"
        assert left[0][1] is None, f"the payload of the dead letter {input_id} came back"
    for input_id, target, became in rows.history.acknowledged("sent again"):
        sent = rows.of("SELECT refused, payload FROM sends WHERE input_id = ?", input_id)
        assert sent == [(None, None)], f"the send {input_id} was retried and is a dead letter again"
        there = rows.of(
            "SELECT input_id FROM inputs JOIN runtimes USING (runtime) WHERE runtime_id = ? AND input_id = ?",
            target,
            became,
        )
        assert there, f"the send {input_id} was retried and is not with {target}"


def expired(
    change: deadlines.ExpireInputs | deadlines.ExpireMembers | deadlines.DropLateRun, answer: Sequence[InputId]
) -> Promised:
    """They are abandoned for their deadlines."""
    return [("late", (change.runtime_id, each)) for each in answer]


def check_expired(rows: Rows) -> None:
    """What was late stays abandoned; nothing is late that had no deadline, or not yet."""
    for runtime_id, input_id in rows.history.acknowledged("late"):
        stored = rows.of(
            "SELECT phase, reason FROM inputs JOIN runtimes USING (runtime) WHERE runtime_id = ? AND input_id = ?",
            runtime_id,
            input_id,
        )
        assert stored == [("abandoned", LATE)], f"input {input_id} of {runtime_id} was late: {stored}"
    rows.none(
        "SELECT input_id FROM inputs WHERE reason = 'deadline_exceeded' AND (deadline IS NULL OR deadline > finished_at)",
        "an input was abandoned before its deadline",
    )


def came_due(change: delays.QueueDue, answer: delays.DueQueued) -> Promised:
    """They are in the inbox, or past it; what they replaced has ended."""
    replaced = [(each, group.phase) for group in answer.replaced for each in group.input_ids]
    return [
        *(("due", (change.runtime_id, each)) for each in answer.input_ids),
        *(("ended input", (change.runtime_id, each, phase)) for each, phase in replaced),
    ]


def check_delays(rows: Rows) -> None:
    """What was queued is delayed no more; what is delayed is accepted, and of a runtime that takes inputs."""
    for runtime_id, input_id in rows.history.acknowledged("due"):
        stored = rows.of(
            "SELECT phase, due_at FROM inputs JOIN runtimes USING (runtime) WHERE runtime_id = ? AND input_id = ?",
            runtime_id,
            input_id,
        )
        assert not stored or (stored[0][0] != "accepted" and stored[0][1] is None), (
            f"input {input_id} was due, and is delayed again: {stored}"
        )
    rows.none(
        "SELECT input_id FROM inputs WHERE due_at IS NOT NULL AND (phase NOT IN ('accepted', 'abandoned') OR run IS NOT NULL)",
        "an input is delayed, and has gone on",
    )


def persisted(change: input_records.PersistInputs, _answer: None) -> Promised:
    """What ended so stays so."""
    return [
        ("ended input", (change.runtime_id, each.input_id, each.phase))
        for each in change.states
        if each.phase is InputPhase.CONSUMED
    ]


def queued_as_brought(change: repair.QueueBrought, _answer: None) -> Promised:
    """What was brought by then waits to be worked on."""
    return [("queued as brought", change.runtime_id)]


def check_brought(rows: Rows) -> None:
    """None of them is as its caller wrote it."""
    for runtime_id in rows.history.acknowledged("queued as brought"):
        left = rows.of(
            "SELECT input_id FROM inputs JOIN runtimes USING (runtime)"
            " WHERE runtime_id = ? AND phase = 'accepted' AND due_at IS NULL",
            runtime_id,
        )
        assert not left, f"inputs of {runtime_id} were queued, and wait as they were brought: {left}"


PROOFS: Final = (
    FacetProof(name="inputs", story=policies, promises={inputs.AcceptInput: accepted}, check=check_inputs),
    FacetProof(
        name="delays",
        story=delayed_inputs,
        promises={delays.QueueDue: came_due},
        check=check_delays,
        quiet=(delays.QueueDue,),
    ),
    FacetProof(
        name="repair",
        story=brought_inputs,
        promises={repair.QueueBrought: queued_as_brought},
        check=check_brought,
        quiet=(repair.QueueBrought,),
    ),
    FacetProof(name="input_records", promises={input_records.PersistInputs: persisted}),
    FacetProof(
        name="dead_letters",
        story=runs_that_end_badly,
        promises={dead_letters.RetryDeadLetter: retried, dead_letters.DropDeadLetter: dropped},
        check=check_dropped,
    ),
    FacetProof(
        name="deadlines",
        story=late_inputs,
        promises={
            deadlines.ExpireInputs: expired,
            deadlines.ExpireMembers: expired,
            deadlines.DropLateRun: expired,
        },
        check=check_expired,
    ),
)
