"""The commit that is measured, defined once: a boundary of a run, as `Run.checkpoint` writes it.

It appends one message of 1 to 4 KiB to the runtime's conversation and mints the receipt of the boundary. So it needs the
records of the runtime, its run and its session (fence, sequence, head), inserts a node and a receipt, and updates the records
of runtime and session: 4 rows in 4 tables, 4 statements where the records are cached, and the encoding and the digests of
message, conversation and receipt chain.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final, final

import trio
from attrs import frozen

from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.inbox.receipts import MintReceipt
from tenure.persistence.facets.ownership.ownership import (
    Ownership,
    TakeOwnership,
)
from tenure.persistence.facets.runs.runs import BeginRun
from tenure.persistence.model.codec import (
    digest,
    encode,
)
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    RunApplyBoundary,
    RunId,
    SessionId,
)
from tenure.persistence.opening import open_store
from tenure.persistence.store import Store

from .report import Timing

MESSAGE_BYTES: Final = (1024, 4096)
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz      "


@final
@frozen(kw_only=True, slots=True)
class Agent:
    """A runtime in the middle of a run: everything that its next boundary commit names."""

    runtime_id: LogicalRuntimeId
    fence_token: int
    run_id: RunId
    input_id: InputId


def messages(seed: int, count: int = 64) -> list[dict[str, str]]:
    """Messages of 1 to 4 KiB; the same for the same seed."""
    source = random.Random(seed)  # noqa: S311 - sizes of messages, nothing secret
    sizes = [source.randint(*MESSAGE_BYTES) for _ in range(count)]
    return [{"role": "assistant", "content": "".join(source.choices(_ALPHABET, k=size))} for size in sizes]


def boundary_commit(agent: Agent, message: object) -> Commit:
    """The measured commit; building it encodes the message."""
    return Commit(
        runtime_id=agent.runtime_id,
        fence_token=agent.fence_token,
        changes=(
            AppendMessages(runtime_id=agent.runtime_id, messages=(encode(message, "message"),), run_id=agent.run_id),
            MintReceipt(
                runtime_id=agent.runtime_id,
                run_id=agent.run_id,
                boundary=RunApplyBoundary.RUN_CHECKPOINT,
                contributing_input_ids=(agent.input_id,),
            ),
        ),
    )


async def prepare(path: Path | str, count: int, durability: str = "os") -> list[Agent]:
    """Make a database with `count` runtimes, each in the middle of a run over one input."""
    agents: dict[int, Agent] = {}

    async def begin(number: int) -> None:
        agents[number] = await _begin(store, number)

    async with open_store(path, durability=durability) as store, trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(begin, number)
    return [agents[number] for number in range(count)]


async def _begin(store: Store, number: int) -> Agent:
    runtime_id = LogicalRuntimeId(f"agent/{number:06}")
    new_id = store.seams.new_id
    take = TakeOwnership(runtime_id=runtime_id, kind="agent", epoch=new_id(), session_id=SessionId(new_id()))
    ownership: Ownership = (await store.commit(Commit(changes=(take,)))).values[0]
    payload = encode({"question": number}, "payload")
    accept = AcceptInput(
        runtime_id=runtime_id, input_id=InputId(new_id()), payload=payload, payload_digest=digest(payload)
    )
    await store.commit(Commit(changes=(accept,)))
    begin = BeginRun(runtime_id=runtime_id, run_id=RunId(new_id()), batch=1)
    await store.commit(Commit(runtime_id=runtime_id, fence_token=ownership.fence_token, changes=(begin,)))
    return Agent(
        runtime_id=runtime_id,
        fence_token=ownership.fence_token,
        run_id=begin.run_id,
        input_id=accept.input_id,
    )


def copy_of(template: Path, name: str) -> Path:
    """A fresh copy of a closed database, beside it."""
    path = template.with_name(name)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(template, path)
    return path


def in_turn(agents: Sequence[Agent], count: int) -> Iterator[tuple[Agent, Any]]:
    """`count` pairs of agent and message: each agent in turn."""
    bodies = messages(seed=count)
    for number in range(count):
        yield agents[number % len(agents)], bodies[number % len(bodies)]


async def commit_concurrently(store: Store, agents: Sequence[Agent], at_once: int, count: int) -> Timing:
    """Commit `count` boundaries: `at_once` tasks, each with its own share of the agents and one commit in flight."""
    bodies = messages(seed=count)
    latencies: list[float] = []

    async def work(number: int) -> None:
        mine = agents[number::at_once]
        for turn in range(count // at_once):
            body = bodies[(turn + number) % len(bodies)]
            began = perf_counter()
            await store.commit(boundary_commit(mine[turn % len(mine)], body))
            latencies.append(perf_counter() - began)

    began = perf_counter()
    async with trio.open_nursery() as nursery:
        for number in range(at_once):
            nursery.start_soon(work, number)
    elapsed = perf_counter() - began
    return Timing(count=len(latencies), elapsed_s=elapsed, latencies_s=sorted(latencies))
