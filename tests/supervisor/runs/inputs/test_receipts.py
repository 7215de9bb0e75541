"""Receipts, fences and groups, as a host writes them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import Error, NotFound, PayloadTooLarge, StaleFence
from tenure.persistence.commits.commit import (
    Commit,
    CommitResult,
)
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.ownership.ownership import RenewToken
from tenure.persistence.facets.records.chain import next_head
from tenure.persistence.facets.records.runtimes import CHAIN_START
from tenure.persistence.model.codec import digest
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
)
from tests.kit.ground import submit
from tests.kit.hosting import (
    Gate,
    consumed,
    echo,
    host,
    nothing,
    peek,
)

ALICE = LogicalRuntimeId("alice")


async def test_the_receipts_of_a_run_are_dense_and_the_chain_goes_on_over_runs_and_hosts(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    receipts: list[tenure.RunBoundaryReceipt] = []

    async def behaviour(run: tenure.Run) -> None:
        for n in range(run.inputs[0].payload):
            run.session.append(n)
            receipts.append(await run.checkpoint())

    for checkpoints in (2, 0, 1):
        async with host(database, {"kind": behaviour}) as supervisor:
            runtime = await supervisor.spawn("alice", "kind")
            receipts.append(await consumed(runtime, checkpoints))

    assert [receipt.sequence for receipt in receipts] == [1, 2, 3, 1, 1, 2]
    # Recomputed from what was handed out, it is what is stored.
    heads: list[bytes] = [CHAIN_START]
    for receipt in receipts:
        heads.append(next_head(heads[-1], receipt))
    assert peek(database, "SELECT chain FROM receipts ORDER BY receipt") == [[head.hex()] for head in heads[1:]]
    assert peek(database, "SELECT chain, boundaries FROM runtimes") == [[heads[-1].hex(), 6]]


async def test_a_receipt_proves_the_conversation(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async def behaviour(run: tenure.Run) -> None:
        run.session.append(b"one")
        run.session.append(b"")
        run.session.append(b"three")

    async with host(target, {"kind": behaviour}) as supervisor:
        receipt = await consumed(await supervisor.spawn("alice", "kind"), "go")

    expected = bytes(32)
    for message in (b"one", b"", b"three"):
        expected = hashlib.sha256(expected + len(message).to_bytes(8, "big") + message).digest()
    assert (receipt.conversation_digest, receipt.message_count) == (expected.hex(), 3)


async def test_a_receipt_says_who_committed_what_under_which_token(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        receipt = (await ticket.wait_outcome()).receipt

        assert receipt is not None
        assert receipt.runtime_id == "alice"
        assert receipt.boundary == "run_start"
        assert receipt.contributing_input_ids == (ticket.input_id,)
        assert receipt.fence_token == runtime.fence_token
        assert await supervisor.store.verdict(supervisor.store.incarnation, receipt.group)


async def test_a_stale_token_is_refused_and_writes_nothing(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": echo}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        stale = runtime.fence_token
        await consumed(runtime, "first")
        await runtime.reset()
        append = AppendMessages(runtime_id=ALICE, messages=(b'"stale"',))
        for given in (stale, runtime.fence_token + 1, None):
            with pytest.raises(StaleFence) as caught:
                await supervisor.store.commit(Commit(runtime_id=ALICE, fence_token=given, changes=(append,)))
            assert (caught.value.runtime_id, caught.value.expected, caught.value.actual) == (
                "alice",
                runtime.fence_token,
                given,
            )
        await consumed(runtime, "second")

        assert await supervisor.read_session("alice") == ["first", "second"]


async def test_a_host_that_lost_its_token_cannot_end_its_run(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The token changes under a run, as a takeover changes it: what it appends and sends lands nowhere."""
    renewed: list[int] = []

    async def behaviour(run: tenure.Run) -> None:
        run.session.append("zombie")
        run.send("bob", "zombie")
        if not renewed:
            store = kept[0].store
            commit = Commit(
                runtime_id=run.runtime_id,
                fence_token=run.fence_token,
                changes=(RenewToken(runtime_id=run.runtime_id),),
            )
            renewed.append((await store.commit(commit)).values[0])

    kept: list[tenure.Supervisor] = []
    async with host(database, {"kind": behaviour, "echo": echo}) as supervisor:
        kept.append(supervisor)
        await supervisor.spawn("bob", "echo")
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go")
        await trio.sleep(1)

        assert await supervisor.read_session("alice") == []
        assert await supervisor.read_session("bob") == []
        assert peek(database, "SELECT attempts FROM inputs") == [[0]]  # lost ownership is no attempt


def accept(runtime_id: str, payload: bytes, n: int) -> Commit:
    change = AcceptInput(
        runtime_id=LogicalRuntimeId(runtime_id),
        input_id=InputId(f"00000000-0000-7000-8000-{n:012}"),
        payload=payload,
        payload_digest=digest(payload),
    )
    return Commit(changes=(change,))


async def test_a_bad_commit_in_a_group_leaves_its_neighbours(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    outcomes: dict[int, CommitResult | Error] = {}
    async with host(target, {"kind": echo}, gate=gate, limits=tenure.Limits(payload_bytes=50)) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        gate.shut()
        # The first is taken alone and waits at the gate; the others gather behind it and share a group.
        commits = [
            accept("alice", b"0", 0),
            accept("alice", b"1", 1),
            accept("nobody", b"2", 2),
            accept("alice", b'"%s"' % (b"x" * 100), 3),
            Commit(runtime_id=ALICE, fence_token=999, changes=(AppendMessages(runtime_id=ALICE, messages=(b"4",)),)),
            accept("alice", b"5", 5),
        ]
        for at, commit in enumerate(commits):
            submit(supervisor.store, commit, on_settled=lambda outcome, at=at: outcomes.__setitem__(at, outcome))
            await trio.testing.wait_all_tasks_blocked()
        gate.open()
        ticket = await runtime.accept(6)
        await ticket.wait_outcome()

        errors = {at: type(outcome) for at, outcome in outcomes.items() if not isinstance(outcome, CommitResult)}
        assert errors == {2: NotFound, 3: PayloadTooLarge, 4: StaleFence}
        groups = [outcome.group for outcome in outcomes.values() if isinstance(outcome, CommitResult)]
        assert groups[0] != groups[1] == groups[2]
        assert await supervisor.read_session("alice") == [0, 1, 5, 6]
