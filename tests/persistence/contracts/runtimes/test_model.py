"""Every verb of the contract against a model of dicts, on a file and in memory, alone in its group and in a replayed one."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tenure import (
    AbandonReason,
    InputId,
    InputPhase,
    InputState,
    LogicalRuntimeId,
    PersistedOpsSnapshot,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RunId,
    RuntimeState,
    SessionDelta,
    SessionId,
    SessionSnapshot,
    Store,
    StoredInputState,
    TranscriptRewriteCommit,
    decode_snapshot,
    encode_snapshot,
)
from tenure.errors import Error
from tenure.persistence.model.contracts.operations import (
    Operation,
    OperationKind,
)
from tenure.persistence.upkeep.verify import (
    runtime_ids,
    verify_runtime,
)
from tests.kit.models import Host, call, side_by_side
from tests.kit.shares import examples
from tests.persistence.contracts.runtimes.model import (
    Model,
    Refused,
)

NAMES = ("alice", "bob")
names = st.sampled_from(NAMES)
runs = st.sampled_from(("run-1", "run-2"))
messages = st.lists(st.sampled_from((b"a", b"b", b"")), max_size=3).map(tuple)
PHASES: list[dict[str, Any]] = [
    {"phase": InputPhase.ACCEPTED},
    {"phase": InputPhase.QUEUED},
    {"phase": InputPhase.STAGED},
    {"phase": InputPhase.APPLIED},
    {"phase": InputPhase.CONSUMED},
    {"phase": InputPhase.ABANDONED, "reason": AbandonReason.RESET},
    {"phase": InputPhase.COALESCED, "successor": InputId("i0")},
]
phases = st.sampled_from(PHASES)


@st.composite
def inputs(draw: st.DrawFn) -> list[InputState]:
    ids = draw(st.lists(st.sampled_from(("i0", "i1", "i2")), unique=True, max_size=3))
    return [
        InputState(
            input_id=InputId(input_id),
            payload=draw(st.sampled_from((b"1", b"2"))),
            idempotency_key=draw(st.sampled_from((None, None, "k", "l"))),
            last_run_id=draw(st.sampled_from((None, RunId("run-1")))),
            attempt_count=draw(st.integers(0, 3)),
            **draw(phases),
        )
        for input_id in ids
    ]


class ContractMachine(RuleBasedStateMachine):
    """The store beside its model."""

    @initialize(on_file=st.booleans(), in_company=st.booleans())
    def open(self, *, on_file: bool, in_company: bool) -> None:
        self.in_company = in_company
        self.folder = tempfile.TemporaryDirectory()
        self.host = Host(str(Path(self.folder.name) / "agents.db") if on_file else ":memory:")
        self.model = Model()

    def teardown(self) -> None:
        if not hasattr(self, "host"):
            return
        try:
            for name in NAMES:
                if name in self.model.runtimes and self.known(name):
                    found = self.host.run(self.store.read, partial(verify_runtime, runtime_id=LogicalRuntimeId(name)))
                    assert found.is_sound, found.problems
        finally:
            self.host.close()
            self.folder.cleanup()

    @property
    def store(self) -> Store:
        return self.host.store

    def known(self, name: str) -> bool:
        return name in self.host.run(self.store.read, runtime_ids)

    def both(
        self, verb: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...], model: Callable[[Model], Any]
    ) -> None:
        """See `side_by_side`."""
        act = partial(self.host.run, call, self.store, partial(verb, *arguments), in_company=self.in_company)
        side_by_side(self, model, act, refusals=Refused, class_of=lambda refused: refused.error)

    def snapshot(self, name: str, path: tuple[bytes, ...], data: Any, *, rewrites: Any = None) -> SessionSnapshot:
        """A snapshot that often continues what is stored."""
        stored = self.model.path(name)
        session = data.draw(st.sampled_from((f"talk-{name}", f"talk-{name}", f"alt-{name}", "talk-alice")))
        known: tuple[TranscriptRewriteCommit, ...] = ()
        if stored is not None and data.draw(st.booleans()):
            session, known = stored.session_id, stored.rewrites
            kept = data.draw(st.integers(0, len(stored.messages)))
            path = stored.messages[: max(kept, len(stored.messages) - 1)] + path
        draft = SessionSnapshot(
            session_id=SessionId(session), messages=path, meta=data.draw(st.sampled_from(({}, {"v": 1})))
        )
        chosen = known if rewrites is None else rewrites
        try:
            encode_snapshot(attrs.evolve(draft, rewrites=chosen))
        except Error:
            return draft  # those rewrites do not lead to this path: it goes without
        return attrs.evolve(draft, rewrites=chosen)

    @rule(name=names, path=messages, data=st.data())
    def commit_session_snapshot(self, name: str, path: tuple[bytes, ...], data: Any) -> None:
        snapshot = self.snapshot(name, path, data)
        self.both(
            self.store.runtimes.commit_session_snapshot,
            (name, SessionDelta(session_snapshot=encode_snapshot(snapshot))),
            lambda model: model.write(name, snapshot),
        )

    @rule(name=names, path=messages, data=st.data(), right=st.booleans())
    def rewrite(self, name: str, path: tuple[bytes, ...], data: Any, *, right: bool) -> None:
        snapshot = self.snapshot(name, path, data)
        stored = self.model.path(name)
        parent = stored.revision if stored is not None and right else "0" * 64
        commit = TranscriptRewriteCommit(parent_revision=parent, revision=snapshot.revision)
        self.both(
            self.store.runtimes.commit_session_transcript_rewrite_snapshot,
            (name, SessionDelta(session_snapshot=encode_snapshot(snapshot)), commit),
            lambda model: model.write(name, snapshot, commit),
        )

    @rule(name=names, path=messages, data=st.data(), run=runs, off=st.sampled_from((0, 0, 0, -1, 1)), states=inputs())
    def atomic_apply(
        self, name: str, path: tuple[bytes, ...], data: Any, run: str, off: int, states: list[InputState]
    ) -> None:
        snapshot = self.snapshot(name, path, data) if data.draw(st.booleans()) else None
        receipt = RunBoundaryReceipt(
            run_id=RunId(run),
            boundary=RunApplyBoundary.RUN_CHECKPOINT,
            contributing_input_ids=(),
            conversation_digest=None if snapshot is None else snapshot.revision,
            message_count=0 if snapshot is None else len(snapshot.messages),
            sequence=self.model.last(name, run) + 1 + off,
        )
        delta = None if snapshot is None else SessionDelta(session_snapshot=encode_snapshot(snapshot))
        self.both(
            self.store.runtimes.atomic_apply,
            (name, delta, receipt, states),
            lambda model: model.apply(name, snapshot, receipt, states),
        )

    @rule(name=names, path=messages, data=st.data(), run=runs, states=inputs())
    def commit_session_boundary(
        self, name: str, path: tuple[bytes, ...], data: Any, run: str, states: list[InputState]
    ) -> None:
        snapshot = self.snapshot(name, path, data)

        async def sequence_of(*arguments: Any) -> int:
            return (await self.store.runtimes.commit_session_boundary(*arguments)).sequence

        delta = SessionDelta(session_snapshot=encode_snapshot(snapshot))
        self.both(
            sequence_of,
            (name, delta, run, "run_start", (), states),
            lambda model: model.boundary(name, snapshot, run, states),
        )

    @rule(name=names)
    def clear(self, name: str) -> None:
        self.both(self.store.runtimes.clear_session_snapshot, (name,), lambda model: model.clear(name))

    @rule(name=names, path=messages, data=st.data(), right=st.booleans(), clearing=st.booleans())
    def compare_and_swap(self, name: str, path: tuple[bytes, ...], data: Any, *, right: bool, clearing: bool) -> None:
        stored = self.model.path(name)
        wrong = SessionSnapshot(session_id=SessionId("talk-alice"), messages=(b"never",))
        expected = stored if stored is not None and right else wrong
        if clearing:
            self.both(
                self.store.runtimes.clear_session_snapshot_if_current,
                (name, encode_snapshot(expected)),
                lambda model: model.replace_if(name, expected, None),
            )
            return
        snapshot = self.snapshot(name, path, data)
        self.both(
            self.store.runtimes.replace_session_snapshot_if_current,
            (name, encode_snapshot(expected), encode_snapshot(snapshot)),
            lambda model: model.replace_if(name, expected, snapshot),
        )

    @rule(name=names, states=inputs())
    def persist_input_states(self, name: str, states: list[InputState]) -> None:
        self.both(
            self.store.runtimes.persist_input_states_atomically,
            (name, states),
            lambda model: model.persist(name, states),
        )

    @rule(name=names, state=st.sampled_from(list(RuntimeState)[:-1]), states=inputs())
    def atomic_lifecycle_commit(self, name: str, state: RuntimeState, states: list[InputState]) -> None:
        self.both(
            self.store.runtimes.atomic_lifecycle_commit,
            (name, state, states),
            lambda model: model.lifecycle(name, state, states),
        )

    @rule(sure=st.integers(0, 9))
    def destroy_bob(self, sure: int) -> None:
        if sure == 0:
            self.both(
                self.store.runtimes.persist_runtime_state,
                ("bob", "destroyed"),
                lambda model: model.lifecycle("bob", "destroyed", []),
            )

    @rule(name=names, count=st.integers(0, 2))
    def operations(self, name: str, count: int) -> None:
        jobs = tuple(
            Operation(operation_id=str(index), kind=OperationKind.BACKGROUND_TOOL_OP) for index in range(count)
        )
        snapshot = PersistedOpsSnapshot(epoch_id="e", operations=jobs)

        def persist(model: Model) -> None:
            model.living(name).ops = snapshot

        def delete(model: Model) -> None:
            model.get(name).ops = None

        if count:
            self.both(self.store.operations.persist_ops_lifecycle, (name, snapshot), persist)
        else:
            self.both(self.store.operations.delete_ops_lifecycle, (name,), delete)

    @rule(extra=st.sampled_from((b"x", b"y")))
    def credentials(self, extra: bytes) -> None:
        def update(current: bytes | None) -> bytes:
            return (current or b"")[-3:] + extra

        def model_update(model: Model) -> None:
            model.credentials = update(model.credentials)

        self.both(self.store.credentials.update_auth_oauth_flow_snapshot, (update,), model_update)

    @invariant()
    def reads_agree(self) -> None:
        if hasattr(self, "host"):
            self.host.run(self.compare)

    async def compare(self) -> None:
        assert await self.store.credentials.load_auth_oauth_flow_snapshot() == self.model.credentials
        for name in NAMES:
            mine = self.model.runtimes.get(name)
            if mine is not None:
                await self.compare_runtime(name)

    async def compare_runtime(self, name: str) -> None:
        mine, runtimes = self.model.runtimes[name], self.store.runtimes
        stored = await runtimes.load_session_snapshot(name)
        assert (None if stored is None else decode_snapshot(stored)) == self.model.path(name)
        assert await runtimes.load_runtime_state(name) == mine.state
        assert await runtimes.is_runtime_projection_quarantined(name) == mine.quarantined
        assert await self.store.operations.load_ops_lifecycle(name) == mine.ops
        for (run, sequence), receipt in mine.receipts.items():
            found = await runtimes.load_boundary_receipt(name, run, sequence)
            assert found is not None
            assert (found.conversation_digest, found.message_count) == (
                receipt.conversation_digest,
                receipt.message_count,
            )
            assert await runtimes.load_boundary_receipt(name, run, sequence + 9) is None
        rows = [each for each in await runtimes.load_input_states(name) if isinstance(each, StoredInputState)]
        assert {each.state.input_id: bare(each.state) for each in rows} == {
            input_id: bare(state) for input_id, state in mine.inputs.items()
        }


def bare(state: InputState) -> InputState:
    """An input without what the store decides."""
    return attrs.evolve(state, admission_sequence=None, recovery_lane=None, created_at=None, updated_at=None)


ContractMachine.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=20)
TestContract = pytest.mark.slow(ContractMachine.TestCase)
