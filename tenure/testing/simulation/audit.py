"""The audit: a whole database against the model of what was promised.

Runs on the live host's connection between groups: after every opening, when nothing has been acknowledged yet, and again and
again while it works.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import msgspec

import tenure
from tenure.persistence.facets.records import chain
from tenure.persistence.facets.records.runtimes import CHAIN_START
from tenure.persistence.facets.runs.sends import derived_key
from tenure.persistence.model.codec import digest

from .model import (
    Model,
    expect,
)
from .peek import rows

ENDS: Final = ("consumed", "abandoned", "superseded", "coalesced")
"""Phases that nothing leaves, as long as no person retries."""

_RUNTIMES: Final = "SELECT runtime_id, kind, state, generation, fence_token, held, boundaries, chain FROM runtimes"
_INPUTS: Final = """
SELECT r.runtime_id, i.input_id, i.phase, i.reason, i.idempotency_key, i.attempts, i.finished_at, i.history, i.lane,
       i.admission, i.joined, u.run_id, u.run, i.payload_digest, u.attempts
FROM inputs i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN runs u ON u.run = i.run ORDER BY i.admission
"""
_RUNS: Final = """
SELECT r.runtime_id, u.run_id, u.run, u.attempts, u.outcome, (SELECT count(*) FROM receipts c WHERE c.run = u.run)
FROM runs u JOIN runtimes r ON r.runtime = u.runtime
"""
_STEPS: Final = """
SELECT r.runtime_id, e.name, lower(hex(e.arguments_digest)), e.status, e.result, e.repeat
FROM entries e JOIN runs u ON u.run = e.run JOIN runtimes r ON r.runtime = u.runtime WHERE e.kind = 'step'
"""
_SENDS: Final = "SELECT run, target, payload_digest, refused FROM sends ORDER BY run, send_index"
_NODES: Final = "SELECT run, payload FROM nodes WHERE run IS NOT NULL ORDER BY run, node"
_RECEIPTS: Final = """
SELECT r.runtime_id, u.run_id, t.boundary, t.input_ids, t.conversation_digest, t.message_count, t.sequence, t.fence_token,
       t.generation, t.durability, t.committed_at, t.group_number, t.position, t.chain
FROM receipts t JOIN runs u ON u.run = t.run JOIN runtimes r ON r.runtime = t.runtime ORDER BY t.receipt
"""

_LINKS: Final = """
SELECT r.runtime_id, c.event, c.detail, c.fence_token, c.generation, c.committed_at, c.group_number, c.position, c.chain
FROM links c JOIN runtimes r ON r.runtime = c.runtime
"""


def audit(
    supervisor: tenure.Supervisor, model: Model, policies: Mapping[str, tenure.RestartPolicy], *, opening: int | None
) -> None:
    """Compare everything.

    Args:
        supervisor: The host whose database it is.
        model: What was promised.
        policies: How failures are answered, by kind.
        opening: The number of the life that has just begun: what was in doubt before it is known from now on.

    Raises:
        PromiseBroken: At the first difference.
    """
    _audit_runtimes(supervisor, model, opening=opening)
    runs = rows(supervisor, _RUNS)
    found = rows(supervisor, _INPUTS)
    _audit_inputs(found, model, policies)
    audit_order(found, runs)
    _audit_runs(runs, model, opening=opening)
    _audit_steps(supervisor, model)
    _audit_ends(supervisor, runs, found, model)
    _audit_receipts(supervisor, model)


def unfinished(supervisor: tenure.Supervisor) -> list[str]:
    """The inputs that have not ended and whose runtime is not held, each with where it stands."""
    sql = """SELECT r.runtime_id, i.input_id, i.phase, r.state FROM inputs i JOIN runtimes r ON r.runtime = i.runtime
             WHERE i.finished_at IS NULL AND r.held IS NULL ORDER BY i.input"""
    return [
        f"{phase} {input_id} of {state} {runtime_id}" for runtime_id, input_id, phase, state in rows(supervisor, sql)
    ]


def _audit_runtimes(supervisor: tenure.Supervisor, model: Model, *, opening: int | None) -> None:
    ((last_token,),) = rows(supervisor, "SELECT last_fence_token FROM store")
    expect(last_token >= max(model.owners, default=0), f"the token counter went back to {last_token}")
    stored = {row[0]: row for row in rows(supervisor, _RUNTIMES)}
    for runtime_id, kind in model.kinds.items():
        expect(runtime_id in stored, f"runtime {runtime_id} is lost")
        expect(stored[runtime_id][1] == kind, f"runtime {runtime_id} of kind {kind} is now {stored[runtime_id][1]}")
    for runtime_id, _, state, generation, token, *_ in stored.values():
        standing = model.standing(runtime_id)
        expect(state in standing.possible, f"{runtime_id} is {state}, and can only be {sorted(standing.possible)}")
        if opening is not None:
            standing.found(state, opening)
        model.token(runtime_id, token, generation)


def _audit_inputs(found: list[tuple[Any, ...]], model: Model, policies: Mapping[str, tenure.RestartPolicy]) -> None:
    stored = {(row[0], row[1]) for row in found}
    for runtime_id, input_id in model.inputs:
        expect((runtime_id, input_id) in stored, f"input {input_id} of {runtime_id} was acknowledged and is lost")
    keys = {(row[0], row[4]): row[1] for row in found if row[4] is not None}
    for (runtime_id, key), input_id in model.keys.items():
        expect(keys.get((runtime_id, key)) == input_id, f"key {key} of {runtime_id} no longer names {input_id}")
    for runtime_id, input_id, phase, reason, _, _, finished_at, history, *_, run_id, _, _, run_attempts in found:
        where = f"input {input_id} of {runtime_id}"
        expect((finished_at is None) is (phase not in ENDS), f"{where} is {phase} and finished at {finished_at}")
        _audit_history(history, phase, where)
        if phase in ENDS and (fact := model.inputs.get((runtime_id, input_id))) is not None:
            said = fact.ended or (phase, reason)
            expect(said == (phase, reason), f"{where} ended {said}, and now {(phase, reason)}")
            fact.ended = said
        if phase == "consumed":
            run = model.run(runtime_id, run_id)
            expect(run.returned or input_id in run.named, f"{where} was consumed by run {run_id}, which has not ended")
        if reason == "max_attempts_exhausted" and runtime_id in model.kinds:
            most = policies[model.kinds[runtime_id]].max_attempts
            # An attempt that only ends with an error of its record again is the last.
            early = run_attempts < most and model.run(runtime_id, run_id).echoed
            expect(run_attempts == most or early, f"{where} was abandoned after {run_attempts} failures of {most}")


def _audit_history(history: str, phase: str, where: str) -> None:
    lines = [msgspec.json.decode(line) for line in history.splitlines()]
    ends = [line[2] for line in lines if line[2] in ENDS]
    expect(lines[-1][2] == phase, f"{where} is {phase}, and its history ends with {lines[-1]}")
    expect(not ends or (len(ends) == 1 and lines[-1][2] == ends[0]), f"{where} ended more than once: {history}")


def audit_order(found: list[tuple[Any, ...]], runs: list[tuple[Any, ...]]) -> None:
    """Runs of a runtime take what was queued in the order of admission. A restart goes on with the batch of the run before."""
    began: dict[tuple[str, int], int] = {}
    before: dict[str, tuple[int, str | None]] = {}
    for runtime_id, _, run, _, outcome, *_ in sorted(runs, key=lambda row: row[2]):
        previous, end = before.get(runtime_id, (run, None))
        began[runtime_id, run] = began[runtime_id, previous] if end == "restarted" else run
        before[runtime_id] = run, outcome
    spans: dict[tuple[str, int], list[int]] = defaultdict(list)
    for runtime_id, _, _, _, _, _, _, _, lane, admission, joined, _, run, *_ in found:
        if lane == "queue" and joined is None and run is not None:
            spans[runtime_id, began[runtime_id, run]].append(admission)
    last: dict[str, int] = {}
    for (runtime_id, run), span in sorted(spans.items()):
        expect(min(span) > last.get(runtime_id, 0), f"run {run} of {runtime_id} overtook an older input")
        last[runtime_id] = max(span)


def _audit_runs(runs: list[tuple[Any, ...]], model: Model, *, opening: int | None) -> None:
    for runtime_id, run_id, _, attempts, *_ in runs:
        fact = model.runs.get((runtime_id, run_id))
        if fact is not None:
            least, most = fact.attempts
            where = f"run {run_id} of {runtime_id}"
            expect(least <= attempts <= most, f"{where} stores {attempts} failures, and had {least} to {most}")
            if opening not in (None, fact.failed_in):
                fact.attempts = attempts, attempts
                fact.failed_in = None


def _audit_steps(supervisor: tenure.Supervisor, model: Model) -> None:
    stored: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows(supervisor, _STEPS):
        stored[tuple(row[:3])].append(row[3:])
    for key, fact in model.steps.items():
        found = [row[:2] for row in stored[key[0], key[2], key[3]]]
        if fact.seen is not None:
            expect(("succeeded", fact.seen) in found, f"step {key} was seen with {fact.seen!r}, and now it is {found}")
    asked: set[tuple[str, ...]] = {(key[0], key[2], key[3]) for key in model.steps}
    for step, kept in stored.items():
        never = any(row[2] == "never" for row in kept)
        expect(not never or step in asked, f"step {step} is stored, and no behaviour asked for it")


def _audit_ends(
    supervisor: tenure.Supervisor, runs: list[tuple[Any, ...]], found: list[tuple[Any, ...]], model: Model
) -> None:
    """What finished runs appended and sent is there, once, and in order."""
    sends: dict[int, list[tuple[str, bytes, str | None]]] = defaultdict(list)
    nodes: dict[int, list[bytes]] = defaultdict(list)
    for run, target, payload_digest, refused in rows(supervisor, _SENDS):
        sends[run].append((target, payload_digest, refused))
    for run, payload in rows(supervisor, _NODES):
        nodes[run].append(payload)
    arrived = {(row[0], row[4]): row[13] for row in found if row[4] is not None}
    for runtime_id, run_id, run, _, outcome, _ in runs:
        fact = model.runs.get((runtime_id, run_id))
        if outcome != "finished" or fact is None:
            continue
        where = f"run {run_id} of {runtime_id}"
        # Where another version replayed a boundary, what had landed was taken: the run knows its targets.
        given = fact.sent()
        taken = [payload == b"null" for _, payload in given]
        sent = [(target, None if payload == b"null" else digest(payload)) for target, payload in given]
        kept = [
            (target, None if index < len(taken) and taken[index] else payload_digest)
            for index, (target, payload_digest, _) in enumerate(sends[run])
        ]
        expect(kept == sent, f"{where} sent {len(sent)} messages, and {len(kept)} are stored, or others")
        expect(
            nodes[run] == list(fact.appended), f"{where} appended {len(fact.appended)}, stored are {len(nodes[run])}"
        )
        for index, (target, payload_digest, refused) in enumerate(sends[run], 1):
            there = arrived.get((target, derived_key(tenure.RunId(run_id), index)))
            lost = refused is None and there != payload_digest
            expect(not lost, f"send {index} of {where} never reached {target}")
            expect(refused is None or there is None, f"send {index} of {where} was refused and reached {target}")


def _audit_receipts(supervisor: tenure.Supervisor, model: Model) -> None:
    """Receipts are dense in each run and as they were returned, and every link of every chain can be computed again."""
    links: dict[str, list[tuple[int, Any, bytes]]] = defaultdict(list)
    last: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows(supervisor, _RECEIPTS):
        receipt = _receipt(row)
        where = f"receipt {receipt.sequence} of run {receipt.run_id} of {receipt.runtime_id}"
        key = receipt.runtime_id, receipt.run_id
        expect(receipt.sequence == last[key] + 1, f"{where} follows {last[key]}")
        last[key] = receipt.sequence
        known = model.run(*key).receipts.get(receipt.sequence, receipt)
        expect(known == receipt, f"{where} is not what it was")
        links[receipt.runtime_id].append((row[-2], receipt, row[-1]))
    for runtime_id, event, detail, token, generation, at, group, position, head in rows(supervisor, _LINKS):
        link = chain.ChainLink(
            runtime_id=runtime_id,
            event=chain.LinkEvent(event),
            detail=detail,
            fence_token=token,
            generation=generation,
            committed_at=at,
            group=group,
        )
        links[runtime_id].append((position, link, head))
    for (runtime_id, run_id), fact in model.runs.items():
        missing = max(fact.receipts, default=0) > last[runtime_id, run_id]
        expect(not missing, f"a receipt of run {run_id} of {runtime_id} was returned and is lost")
    for runtime_id, *_, boundaries, head in rows(supervisor, _RUNTIMES):
        reached = CHAIN_START
        for position, link, stored in sorted(links[runtime_id], key=_position):
            reached = chain.next_head(reached, link)
            expect(reached == stored, f"link {position} of the chain of {runtime_id} is not what it was")
        whole = reached == head and boundaries == len(links[runtime_id])
        expect(
            whole, f"the chain of {runtime_id} has {boundaries} links, {len(links[runtime_id])} are there, or others"
        )


def _position(link: tuple[int, Any, bytes]) -> int:
    return link[0]


def _receipt(row: tuple[Any, ...]) -> tenure.RunBoundaryReceipt:
    runtime_id, run_id, boundary, ids, conversation, count, sequence, token, generation, kept, at, group, *_ = row
    return tenure.RunBoundaryReceipt(
        runtime_id=runtime_id,
        run_id=run_id,
        boundary=tenure.RunApplyBoundary(boundary),
        contributing_input_ids=tuple(msgspec.json.decode(ids)),
        conversation_digest=None if conversation is None else conversation.hex(),
        message_count=count,
        sequence=sequence,
        fence_token=token,
        generation=generation,
        durability=tenure.DurabilityClass(kept),
        committed_at=at,
        group=group,
    )
