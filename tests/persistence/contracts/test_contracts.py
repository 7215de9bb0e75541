"""docs/contracts.md: every verb, type and error of the documents has a row, and every row a test that exists."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from pathlib import Path

import pytest

import tenure
from tenure import Store, errors
from tenure.persistence.contracts.credentials import CredentialsContract
from tenure.persistence.contracts.operations import OperationsContract
from tenure.persistence.contracts.runtimes import RuntimeContract

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| (?P<name>.+?) \| (?P<promise>.+?) \| `(?P<module>.+?)` \| `(?P<test>.+?)` \|$")

VERBS = {
    "runtimes": [
        "commit_session_boundary",
        "atomic_apply",
        "commit_session_snapshot",
        "commit_session_transcript_rewrite_snapshot",
        "load_session_snapshot",
        "clear_session_snapshot",
        "replace_session_snapshot_if_current",
        "clear_session_snapshot_if_current",
        "is_runtime_projection_quarantined",
        "persist_input_state",
        "persist_input_states_atomically",
        "load_input_state",
        "load_input_states",
        "load_boundary_receipt",
        "persist_runtime_state",
        "load_runtime_state",
        "atomic_lifecycle_commit",
        "commit_machine_lifecycle",
        "load_machine_lifecycle_record",
    ],
    "operations": ["persist_ops_lifecycle", "load_ops_lifecycle", "delete_ops_lifecycle"],
    "credentials": [
        "persist_auth_oauth_flow_snapshot",
        "load_auth_oauth_flow_snapshot",
        "update_auth_oauth_flow_snapshot",
        "auth_authority_key",
    ],
    "journal": [
        "append",
        "stream",
        "save",
        "load",
        "checkpoint",
        "delete",
        "exists",
        "list",
        "save_snapshot",
        "load_snapshot",
        "save_fact",
        "load_fact",
        "follow",
        "open",
        "bind",
    ],
    "state": [
        "save_snapshot",
        "load_snapshot",
        "delete_snapshot",
        "list_snapshots",
        "set",
        "get",
        "delete",
        "exists",
        "set_json",
        "get_json",
        "delete_execution_state",
        "stale",
        "sweep",
    ],
    "sessions": [
        "bind",
        "load_session",
        "load_node",
        "commit_runtime_state",
        "save_session_meta",
        "load_session_meta",
        "tombstone_nodes",
        "vacuum",
        "gc_unreachable",
    ],
}
ARGUMENTS = {
    "commit_session_boundary": "runtime_id session_delta run_id boundary contributing_input_ids input_updates",
    "atomic_apply": "runtime_id session_delta receipt input_updates session_store_key",
    "load_input_states": "runtime_id",
    "load_boundary_receipt": "runtime_id run_id sequence",
    "load_session_snapshot": "runtime_id",
    "persist_input_state": "runtime_id state",
    "load_input_state": "runtime_id input_id",
    "persist_runtime_state": "runtime_id state",
    "load_runtime_state": "runtime_id",
    "atomic_lifecycle_commit": "runtime_id runtime_state input_states",
    "commit_session_snapshot": "runtime_id session_delta",
    "commit_session_transcript_rewrite_snapshot": "runtime_id session_delta commit",
    "clear_session_snapshot": "runtime_id",
    "replace_session_snapshot_if_current": "runtime_id expected_current replacement",
    "clear_session_snapshot_if_current": "runtime_id expected_current",
    "load_machine_lifecycle_record": "runtime_id",
    "commit_machine_lifecycle": "runtime_id commit input_states",
    "persist_ops_lifecycle": "runtime_id snapshot",
    "load_ops_lifecycle": "runtime_id",
    "delete_ops_lifecycle": "runtime_id",
    "persist_auth_oauth_flow_snapshot": "snapshot",
    "update_auth_oauth_flow_snapshot": "update",
}
FACET_ARGUMENTS = {
    "journal.append": "stream events expected_cursor facts",
    "journal.stream": "stream after",
    "journal.save": "stream log",
    "journal.load": "stream",
    "journal.checkpoint": "stream log",
    "journal.delete": "stream",
    "journal.exists": "stream",
    "journal.list": "",
    "journal.save_snapshot": "stream cursor snapshot facts",
    "journal.load_snapshot": "stream",
    "journal.save_fact": "fact_hash value",
    "journal.load_fact": "fact_hash",
    "state.save_snapshot": "snapshot",
    "state.load_snapshot": "execution_id",
    "state.delete_snapshot": "execution_id",
    "state.list_snapshots": "tenant_id limit",
    "state.set": "key value ttl",
    "state.get": "key",
    "state.delete": "key",
    "state.exists": "key",
    "state.set_json": "key value ttl",
    "state.get_json": "key",
    "state.delete_execution_state": "execution_id",
}
TYPES = [
    "LogicalRuntimeId",
    "RunId",
    "InputId",
    "SessionId",
    "SessionDelta",
    "RunBoundaryReceipt",
    "RunApplyBoundary",
    "RuntimeState",
    "InputState",
    "StoredInputState",
    "InputStatePersistenceRecord",
    "MachineLifecycleBindingFacts",
    "MachineLifecycleSnapshot",
    "MachineLifecycleStoreRecord",
    "MachineLifecycleCommit",
    "TranscriptRewriteCommit",
    "PersistedOpsSnapshot",
    "ExecutionSnapshot",
    "ExecutionId",
    "TenantId",
    "SessionReadScope",
    "PersistedSessionRead",
    "SessionNodeRecord",
    "SessionMeta",
    "RuntimeCommit",
    "RuntimeCommitResult",
    "RuntimePersistence",
    "VacuumReport",
    "GcReport",
    "DurabilityTier",
    "QueuedWorkBatchDraft",
    "QueuedWorkBatch",
    "QueuedWorkClaim",
    "QueuedWorkClaimBoundary",
    "AttachmentManifest",
    "NoopAttachmentManifest",
    "SessionScopedAttachmentStore",
]
SEED_ERRORS = [
    "WriteFailed",
    "ReadFailed",
    "SessionKeyMismatch",
    "NotFound",
    "Unsupported",
    "TranscriptRevisionConflict",
    "Internal",
    "StoreError",
    "HeadRevisionConflict",
    "TurnCommitConflict",
    "SessionBindingMismatch",
    "UnsupportedReadScope",
]


def rows() -> list[re.Match[str]]:
    lines = (ROOT / "docs" / "contracts.md").read_text("utf-8").splitlines()
    table = [line for line in lines if line.startswith("| ") and not line.startswith("| name")]
    found = [ROW.match(line) for line in table]
    assert all(found), [line for line, match in zip(table, found, strict=True) if match is None]
    return [each for each in found if each is not None]


@functools.cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_row_names_a_module_and_a_test_that_exist() -> None:
    for row in rows():
        path, _, name = row["test"].partition("::")
        assert (ROOT / row["module"]).is_file(), row["module"]
        assert name in names_in(path), row["test"]


def test_every_row_has_a_promise_of_its_own() -> None:
    promises = [row["promise"] for row in rows()]

    assert not {each for each in promises if promises.count(each) > 1}


def test_every_name_of_the_documents_has_a_row() -> None:
    named = {row["name"].strip("`") for row in rows()}

    wanted = {verb for verbs in VERBS.values() for verb in verbs} | set(TYPES) | set(SEED_ERRORS)
    wanted |= {"durability_tier", "EffectHost"}
    assert not wanted - named


def test_every_type_and_error_can_be_had() -> None:
    assert not [name for name in TYPES if not hasattr(tenure, name)]
    assert not [name for name in SEED_ERRORS if not hasattr(errors, name)]


async def test_every_verb_is_there(store: Store) -> None:
    for facet, verbs in VERBS.items():
        assert not [verb for verb in verbs if not callable(getattr(getattr(store, facet), verb, None))]


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_arguments_stand_in_the_order_of_the_documents(verb: str) -> None:
    owners = (RuntimeContract, OperationsContract, CredentialsContract)
    found = next(getattr(owner, verb) for owner in owners if hasattr(owner, verb))
    parameters = [each for each in inspect.signature(found).parameters.values() if each.name != "self"]

    assert [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY] == ARGUMENTS[verb].split()
    assert {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} <= {"fence"}


@pytest.mark.parametrize("verb", FACET_ARGUMENTS)
async def test_arguments_of_journal_and_state_stand_in_the_order_of_the_documents(store: Store, verb: str) -> None:
    facet, _, name = verb.partition(".")
    parameters = inspect.signature(getattr(getattr(store, facet), name)).parameters.values()

    assert [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY] == FACET_ARGUMENTS[verb].split()
    assert {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} <= {"fence", "types"}


@pytest.mark.parametrize("verb", [verb for verb in ARGUMENTS if not verb.startswith("load_") and "auth" not in verb])
def test_every_verb_that_writes_a_runtime_takes_a_token(verb: str) -> None:
    owners = (RuntimeContract, OperationsContract)
    found = next(getattr(owner, verb) for owner in owners if hasattr(owner, verb))

    assert inspect.signature(found).parameters["fence"].kind is inspect.Parameter.KEYWORD_ONLY
