"""Runs, their steps and their sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proof.promises.facet import (
    FacetProof,
    Promised,
    Rows,
)
from proof.promises.pruned import pruned_runtimes
from proof.stories.runs import day_of_runs, questions, runs_of_every_kind, waits_that_are_put_aside
from tenure.persistence.facets.inbox import batches, inputs
from tenure.persistence.facets.records import asides, holds, versions
from tenure.persistence.facets.runs import (
    again,
    dead_letters,
    entries,
    interrupted,
    results,
    runs,
    sends,
)
from tenure.persistence.facets.runs.asking import (
    asked as asked_rows,
    asks,
)
from tenure.persistence.model.values import (
    InputId,
    InputPhase,
)


def check_runtimes(rows: Rows) -> None:
    """The rows that a runtime names are there."""
    rows.none(
        "SELECT runtime_id FROM runtimes r WHERE run IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.run = r.run AND runs.runtime = r.runtime AND ended_at IS NULL)",
        "a runtime is in a run that is not there or has ended",
    )
    rows.none(
        "SELECT runtime_id FROM runtimes WHERE session IS NOT NULL AND session NOT IN (SELECT session FROM sessions)",
        "a runtime without its session",
    )


def versions_known(change: versions.RegisterVersions, _answer: None) -> Promised:
    """The store has heard of them."""
    return [("version", each) for each in change.versions]


def check_versions(rows: Rows) -> None:
    """What was heard of stays known, in its order."""
    known = set(rows.of("SELECT kind, version FROM versions"))
    for version in rows.history.acknowledged("version"):
        assert version in known, f"version {version} was registered and is lost"


def placed(change: holds.PlaceHold, _answer: object) -> Promised:
    """It is on hold; the story ends the holds of kinds, and no other."""
    return [] if change.runtime_id is None else [("on hold", change.runtime_id)]


def hold_ended(change: holds.EndHold, _answer: object) -> Promised:
    """It is not on hold any more."""
    return [("hold ended", (change.runtime_id, change.kind))]


def check_holds(rows: Rows) -> None:
    """What is on hold stays so until it is resumed, and is not afterwards; the rows say what they are of."""
    problems = holds.verify(rows.statements)
    assert not problems, problems
    found = holds.on_hold(rows.statements)
    for runtime_id in rows.history.acknowledged("on hold"):
        assert runtime_id in found.runtimes, f"the hold of {runtime_id} is lost"
    for runtime_id, kind in rows.history.acknowledged("hold ended"):
        assert runtime_id not in found.runtimes, f"the hold of {runtime_id} is back"
        assert kind not in found.kinds, f"the hold of kind {kind} is back"


def check_asides(rows: Rows) -> None:
    """What is aside is of the run that its runtime has, owned by no host that lives, and staged nowhere."""
    problems = asides.verify_strays(rows.statements)
    assert not problems, problems
    rows.none(
        "SELECT r.runtime_id FROM runtimes r LEFT JOIN asides a ON a.runtime = r.runtime"
        " WHERE (r.aside = 0 AND a.runtime IS NOT NULL)"
        " OR (r.aside = 1 AND (a.run IS NULL OR r.run IS NULL OR a.run <> r.run))",
        "a runtime does not say whether its run is aside",
    )
    rows.none(
        "SELECT i.input_id FROM inputs i JOIN asides a ON a.run = i.run WHERE i.phase = 'staged'",
        "an input is staged for a run that is aside",
    )
    for (runtime,) in rows.of("SELECT runtime FROM asides"):
        assert asides.of_runtime(rows.statements, runtime) is not None


def finished(change: runs.FinishRun, answer: Sequence[InputId]) -> Promised:
    """The run is finished and its inputs are consumed."""
    return [
        ("finished run", (change.runtime_id, change.run_id)),
        *(("ended input", (change.runtime_id, each, InputPhase.CONSUMED)) for each in answer),
    ]


def input_ended(change: runs.RejectInput | runs.ConsumeInput, answer: batches.InputEnded) -> Promised:
    """A consumed input stays so; an abandoned one may be retried."""
    consumed = answer.phase is InputPhase.CONSUMED
    return [("ended input", (change.runtime_id, change.input_id, InputPhase.CONSUMED))] if consumed else []


def answered(change: results.AnswerInput, _answer: batches.InputEnded) -> Promised:
    """The input is consumed, and has its own result."""
    return [
        ("ended input", (change.runtime_id, change.input_id, InputPhase.CONSUMED)),
        ("own result", (change.runtime_id, change.input_id, change.result)),
    ]


def came_to(change: results.StoreResult, _answer: None) -> Promised:
    """The run has its result."""
    return [("result", (change.runtime_id, change.run_id, change.result))]


def check_results(rows: Rows) -> None:
    """Results are there as they were given, as long as their runs are."""
    gone = pruned_runtimes(rows)
    for runtime_id, input_id, result in rows.history.acknowledged("own result"):
        found = results.find(rows.statements, runtime_id, input_id)
        assert found == result or (found is None and runtime_id in gone), f"the answer to {input_id} is another"
    known = dict(
        rows.of(
            "SELECT u.run_id, a.result FROM results a JOIN runs u ON u.run = a.run WHERE a.input = 0 ORDER BY a.boundary"
        )
    )
    for runtime_id, run_id, result in rows.history.acknowledged("result"):
        found = known.get(run_id)
        assert found == result or (found is None and runtime_id in gone), f"the result of run {run_id} is another"
    rows.none("SELECT result_key FROM results WHERE run NOT IN (SELECT run FROM runs)", "a result without its run")


def asked(change: asks.Ask, answer: asked_rows.Answer | None) -> Promised:
    """The question is with its target."""
    return [] if answer is not None else [("asked", (change.target, change.input_id))]


def ask_ended(change: asks.EndAsk, answer: asked_rows.Answer | None) -> Promised:
    """An answer that was given stays."""
    if answer is None or answer.status != asked_rows.ANSWERED:
        return []
    return [("entry", (change.runtime_id, change.run_id, change.entry.place, change.entry.name, answer.result))]


def check_asks(rows: Rows) -> None:
    """No question is lost, and none that has ended waits for its answer."""
    known = {*rows.of("SELECT runtime_id, input_id FROM inputs JOIN runtimes USING (runtime)")}
    gone = pruned_runtimes(rows)
    for target, input_id in rows.history.acknowledged("asked"):
        assert (target, input_id) in known or target in gone, f"the question {input_id} to {target} is lost"
    rows.none(
        "SELECT a.ask FROM asks a LEFT JOIN inputs i ON i.input = a.input"
        " WHERE a.ended_at IS NULL AND (i.input IS NULL OR i.finished_at IS NOT NULL)",
        "what was asked has ended, and who asked has not heard",
    )
    rows.none(
        "SELECT a.ask FROM asks a JOIN runs u ON u.run = a.run WHERE a.status = 'answered' AND u.ended_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM inputs r WHERE r.input_id = a.response_id AND r.runtime = u.runtime)",
        "an answer that did not come back",
    )
    rows.none(
        "SELECT runtime_id FROM runtimes r WHERE asked <>"
        " (SELECT count(*) FROM asks a WHERE a.target = r.runtime AND a.ended_at IS NULL) AND asked = 0",
        "a runtime that does not know that it was asked",
    )


def begun(change: runs.BeginRun, answer: runs.RunBegun | runs.NothingBegun) -> Promised:
    """The run is known."""
    return [("run", (change.runtime_id, answer.run_id))] if isinstance(answer, runs.RunBegun) else []


def check_runs(rows: Rows) -> None:
    """Runs are there, finished ones finished, and nothing is staged for another than the current one."""
    known = {
        (runtime_id, run_id): outcome
        for runtime_id, run_id, outcome in rows.of(
            "SELECT runtime_id, run_id, outcome FROM runs JOIN runtimes USING (runtime)"
        )
    }
    gone = pruned_runtimes(rows)
    for run in rows.history.acknowledged("run"):
        if run[0] in gone and run not in known:
            continue
        assert run in known, f"run {run} was begun and is lost"
    for run in rows.history.acknowledged("finished run"):
        if run[0] in gone and run not in known:
            continue
        assert known.get(run) == dead_letters.FINISHED, f"run {run} was finished and is {known.get(run)}"
    rows.none(
        "SELECT input_id FROM inputs i WHERE phase = 'staged'"
        " AND NOT EXISTS (SELECT 1 FROM runtimes r WHERE r.runtime = i.runtime AND r.run = i.run)",
        "an input is staged for a run that is not the current one",
    )


def went_on(change: again.RunAgain, _answer: inputs.AcceptedInput) -> Promised:
    """The next run is known, over what the run before gave it."""
    key = again.derived_key(change.run_id)
    return [
        ("run", (change.runtime_id, change.next_run_id)),
        ("again", (change.runtime_id, key, change.input_id, change.payload_digest)),
    ]


def check_again(rows: Rows) -> None:
    """A run that went on has ended, and what it went on with is there once."""
    for runtime_id, key, *wanted in rows.history.acknowledged("again"):
        found = rows.of(
            "SELECT input_id, payload_digest FROM inputs JOIN runtimes USING (runtime)"
            " WHERE runtime_id = ? AND idempotency_key = ?",
            runtime_id,
            key,
        )
        assert found == [tuple(wanted)], f"what {key} goes on with is lost"
    rows.none(
        "SELECT i.idempotency_key FROM inputs i JOIN runs u ON i.idempotency_key = 'tenure:again:' || u.run_id"
        " AND u.runtime = i.runtime WHERE u.outcome IS NULL OR u.outcome <> 'finished'",
        "a run has gone on and has not ended",
    )


def recorded(change: entries.RecordEntry, _answer: None) -> Promised:
    """A result that was given is there."""
    if change.status is not entries.EntryStatus.SUCCEEDED:
        return []
    return [("entry", (change.runtime_id, change.run_id, change.place, change.name, change.result))]


def check_entries(rows: Rows) -> None:
    """Results are there as they were given."""
    known = {
        (runtime_id, run_id, place, name): result
        for runtime_id, run_id, place, name, result in rows.of(
            "SELECT runtime_id, run_id, place, name, result FROM entries JOIN runs USING (run)"
            " JOIN runtimes USING (runtime) WHERE status = 'succeeded' OR (status = 'cancelled' AND entries.kind <> 'step')"
        )
    }
    gone = pruned_runtimes(rows)
    for *entry, result in rows.history.acknowledged("entry"):
        if entry[0] in gone and tuple(entry) not in known:
            continue
        assert tuple(entry) in known, f"the result of {entry} was acknowledged and is lost"
        # A `first` has none until one of its branches has won; a sleep that a scope cut off has none any more.
        assert None in (result, known[tuple(entry)]) or known[tuple(entry)] == result, (
            f"the result of {entry} is another"
        )
    rows.none("SELECT entry FROM entries WHERE run NOT IN (SELECT run FROM runs)", "an entry without its run")


def sent(change: sends.Send, answer: sends.Sent) -> Promised:
    """The message is with its target, or with its sender where it was refused."""
    key = sends.derived_key(change.run_id, change.index)
    return [("send", (change.target, key, answer.input_id, change.payload_digest, change.input_id))]


def check_sends(rows: Rows) -> None:
    """No message is lost."""
    for target, key, input_id, digest, refused_id in rows.history.acknowledged("send"):
        if input_id is None:
            # Its payload is there until it is sent again or dropped; that no image has half of either is said elsewhere.
            found = rows.of("SELECT payload_digest FROM sends WHERE input_id = ?", refused_id)
            assert found == [(digest,)], f"a refused send to {target} is lost"
        else:
            found = rows.of(
                "SELECT input_id FROM inputs JOIN runtimes USING (runtime) WHERE runtime_id = ? AND idempotency_key = ?",
                target,
                key,
            )
            assert found == [(input_id,)], f"a send to {target} is lost"
    rows.none(
        "SELECT s.send FROM sends s WHERE s.place IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM receipts c WHERE c.run = s.run AND c.sequence = s.boundary)",
        "a send before its boundary",
    )


PROOFS: Final = (
    FacetProof(name="runtimes", check=check_runtimes),
    FacetProof(name="holds", promises={holds.PlaceHold: placed, holds.EndHold: hold_ended}, check=check_holds),
    FacetProof(name="asides", story=waits_that_are_put_aside, check=check_asides),
    FacetProof(name="versions", promises={versions.RegisterVersions: versions_known}, check=check_versions),
    FacetProof(name="restarting"),
    FacetProof(
        name="runs",
        story=runs_of_every_kind,
        everyday=day_of_runs,
        promises={
            runs.BeginRun: begun,
            runs.FinishRun: finished,
            runs.ConsumeInput: input_ended,
            runs.RejectInput: input_ended,
        },
        check=check_runs,
        quiet=(
            interrupted.AcquitRun,
            interrupted.ForgetUnbegun,
            runs.BeginRun,
            interrupted.UnstageRun,
            interrupted.PutAside,
        ),
    ),
    FacetProof(name="again", promises={again.RunAgain: went_on}, check=check_again),
    FacetProof(
        name="entries", promises={entries.RecordEntry: recorded}, check=check_entries, quiet=(entries.CatchEntry,)
    ),
    FacetProof(name="sends", promises={sends.Send: sent}, check=check_sends),
    FacetProof(name="asks", story=questions, promises={asks.Ask: asked, asks.EndAsk: ask_ended}, check=check_asks),
    FacetProof(
        name="results",
        promises={results.StoreResult: came_to, results.AnswerInput: answered},
        check=check_results,
    ),
)
