"""What each facet promises across crashes: what its answers say, and how it is checked against every row.

Every facet of the catalogue stands here; a test compares. Whoever adds one says what must hold of it after a power cut.
"""

from __future__ import annotations

from typing import Any, Final

from tenure.errors import Error
from tenure.persistence.commits.commit import Change
from tenure.persistence.facets import (
    credentials,
    operations,
)
from tenure.persistence.facets.attachments import attachments
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.graph import graph
from tenure.persistence.facets.graph.prune import PruneTurns
from tenure.persistence.facets.inbox import (
    input_records,
    inputs,
    receipts,
)
from tenure.persistence.facets.journal import journal
from tenure.persistence.facets.ownership import (
    lifecycle,
    ownership,
    requests,
)
from tenure.persistence.facets.queue import queue
from tenure.persistence.facets.records import versions
from tenure.persistence.facets.runs import (
    dead_letters,
    entries,
    results,
    runs,
    sends,
)
from tenure.persistence.facets.state import own_state, state

from . import (
    attached,
    chains,
    graphs,
    inbox,
    journals,
    owners,
    pruned,
    queued,
    talk,
    work,
)
from .facet import (
    FacetProof,
    Promised,
    Rows,
)

PROOFS: Final[tuple[FacetProof, ...]] = (
    FacetProof(
        name="ownership",
        promises={ownership.TakeOwnership: owners.token, ownership.RenewToken: owners.token},
        check=owners.check_tokens,
    ),
    FacetProof(name="runtimes", check=work.check_runtimes),
    FacetProof(name="versions", promises={versions.RegisterVersions: work.versions_known}, check=work.check_versions),
    FacetProof(
        name="lifecycle",
        promises={lifecycle.WriteLifecycle: owners.written, lifecycle.PersistState: owners.written},
        check=owners.check_lifecycle,
    ),
    FacetProof(name="restarting"),  # how a run goes on is judged by what it does then
    FacetProof(name="inputs", promises={inputs.AcceptInput: inbox.accepted}, check=inbox.check_inputs),
    FacetProof(
        name="runs",
        promises={
            runs.BeginRun: work.begun,
            runs.FinishRun: work.finished,
            runs.ConsumeInput: work.input_ended,
            runs.RejectInput: work.input_ended,
        },
        check=work.check_runs,
    ),
    FacetProof(
        name="receipts",
        promises={receipts.MintReceipt: chains.receipt, receipts.BringReceipt: chains.receipt},
        check=chains.check_receipts,
    ),
    FacetProof(name="sessions", promises={sessions.AppendMessages: talk.appended}, check=talk.check_sessions),
    FacetProof(name="entries", promises={entries.RecordEntry: work.recorded}, check=work.check_entries),
    FacetProof(name="sends", promises={sends.Send: work.sent}, check=work.check_sends),
    FacetProof(
        name="results",
        promises={results.StoreResult: work.came_to, results.AnswerInput: work.answered},
        check=work.check_results,
    ),
    FacetProof(name="chain", check=chains.check_chains),
    FacetProof(name="snapshots", check=talk.check_snapshots),
    FacetProof(name="input_records", promises={input_records.PersistInputs: inbox.persisted}),
    FacetProof(
        name="dead_letters",
        promises={dead_letters.RetryDeadLetter: inbox.retried, dead_letters.DropDeadLetter: inbox.dropped},
        check=inbox.check_dropped,
    ),
    FacetProof(
        name="operations",
        promises={
            operations.PersistOperations: talk.operations_kept,
            operations.DeleteOperations: talk.operations_gone,
        },
        check=talk.check_operations,
    ),
    FacetProof(
        name="credentials",
        promises={credentials.PersistFlow: talk.flow_kept, credentials.UpdateFlow: talk.flow_kept},
        check=talk.check_credentials,
    ),
    FacetProof(
        name="requests",
        promises={
            requests.RequestLifecycle: owners.requested,
            requests.FinishRequest: owners.finished,
            requests.AnswerRequest: owners.answered,
        },
        check=owners.check_requests,
    ),
    FacetProof(
        name="journal",
        promises={
            journal.AppendEvents: journals.appended,
            journal.SaveStreamSnapshot: journals.snapshot_kept,
            journal.SaveLog: journals.log_saved,
        },
        check=journals.check_journal,
    ),
    FacetProof(name="facts", check=journals.check_facts),
    FacetProof(
        name="state",
        promises={state.SaveExecution: journals.execution_saved, state.SetValue: journals.value_set},
        check=journals.check_state,
    ),
    FacetProof(name="own_state", promises={own_state.WriteOwnState: journals.kept}, check=journals.check_own_states),
    FacetProof(
        name="graph",
        promises={
            graph.CommitGraph: graphs.committed,
            graph.SaveSessionMeta: graphs.meta_saved,
            graph.TombstoneNodes: graphs.hidden,
        },
        check=graphs.check_graphs,
    ),
    FacetProof(name="checkpoints", check=graphs.check_blobs),
    FacetProof(name="turns", promises={PruneTurns: graphs.turn_pruned}, check=graphs.check_turns),
    FacetProof(
        name="queue",
        promises={
            queue.EnqueueBatch: queued.queued,
            queue.ClaimBatches: queued.claimed,
            queue.RenewClaim: queued.renewed,
            queue.CompleteClaim: queued.completed,
            queue.AbandonClaim: queued.abandoned,
            queue.CancelBatch: queued.cancelled,
        },
        check=queued.check_queue,
    ),
    FacetProof(
        name="attachments",
        promises={
            attachments.StampAttachments: attached.stamped,
            attachments.ForgetAttachment: attached.forgotten,
        },
        check=attached.check_attachments,
    ),
    FacetProof(name="pruning", check=pruned.check_pruned),  # what it counts is gone, and nothing can be asked of it
)
"""Every facet of the catalogue."""

_PROMISES: Final = {change: promise for proof in PROOFS for change, promise in proof.promises.items()}


def promises(change: Change, answer: Any) -> Promised:
    """What the answer to a change promises, by its facet."""
    promise = _PROMISES.get(type(change))
    return () if promise is None else promise(change, answer)


def check(rows: Rows) -> None:
    """Ask every facet. Raises `AssertionError` for the first broken promise, `Error` for rows that cannot be read."""
    for proof in PROOFS:
        try:
            proof.check(rows)
        except (AssertionError, Error) as exc:
            exc.add_note(f"said by the facet {proof.name}")
            raise
