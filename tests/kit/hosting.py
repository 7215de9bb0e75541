"""Hosts for the tests of the top floor: on virtual time, with a gate before the disk, and peeks into what has landed."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, final

import trio

import tenure
from tenure.persistence.seams.executors import (
    Heard,
    InlineExecutor,
)
from tests.kit.past import rows_of
from tests.kit.seen import open_seen_supervisor

T = TypeVar("T")

EPOCH = 1_700_000_000.0
"""Wall clock at virtual time 0."""

LONGEST_S = 10_000.0
"""Virtual seconds that a test's host lives at most."""

SEEDS = itertools.count(1)
"""Two hosts that open at the same time must not draw the same ids."""

SELDOM = tenure.Limits(poll_s=1.0)
"""Each look at the other hosts costs the same in virtual time: twenty a second of many virtual hours are most of a test."""

Behaviours = Mapping[str, Any]


@final
class Gate:
    """An executor that lets the writer's groups through only while it is open."""

    def __init__(self) -> None:
        self._open = trio.Event()
        self._open.set()
        self._inner = InlineExecutor()

    def shut(self) -> None:
        """Keep every group that is taken from now on before the disk."""
        self._open = trio.Event()

    def open(self) -> None:
        self._open.set()

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        await self._open.wait()
        return await self._inner.run(function, heard)

    def close(self) -> None:
        self._inner.close()


def wall_clock() -> float:
    return EPOCH + trio.current_time()


def virtual_seams(gate: Gate | None = None) -> tenure.Seams:
    """No threads, seeded randomness, and a wall clock that goes with trio's."""
    writer: Callable[[], Any] = InlineExecutor if gate is None else lambda: gate
    return tenure.Seams(
        writer_executor=writer,
        reader_executor=InlineExecutor,
        step_executor=InlineExecutor,
        wall_clock=wall_clock,
        boot_clock=trio.current_time,
        random=random.Random(next(SEEDS)),
    )


@asynccontextmanager
async def host(
    target: Path | str,
    behaviours: Behaviours,
    *,
    gate: Gate | None = None,
    limits: tenure.Limits | None = None,
    retention: tenure.Retention | None = None,
) -> AsyncGenerator[tenure.Supervisor]:
    """A host on virtual time; the test takes `autojump_clock`. What hangs fails."""
    with trio.fail_after(LONGEST_S):
        async with open_seen_supervisor(
            target, behaviours=behaviours, seams=virtual_seams(gate), limits=limits or SELDOM, retention=retention
        ) as supervisor:
            yield supervisor


class CutOff(Exception):
    """Raised by a test's body: the host closes at once and drains nothing."""


async def cut_off(target: Path, behaviours: Behaviours, body: Callable[[tenure.Supervisor], Awaitable[None]]) -> None:
    """Open a host, run `body` in it, and leave in the middle of whatever executes then."""
    with suppress(CutOff):
        async with host(target, behaviours) as supervisor:
            await body(supervisor)
            raise CutOff


async def nothing(run: tenure.Run) -> None:
    """The behaviour that only consumes."""


async def forever(run: tenure.Run) -> None:
    """The behaviour that never ends."""
    await trio.sleep_forever()


async def echo(run: tenure.Run) -> None:
    """The behaviour that appends its payloads to its session."""
    for entry in run.inputs:
        run.session.append(entry.payload)


async def consumed(runtime: tenure.Runtime, payload: object) -> tenure.RunBoundaryReceipt:
    """Accept an input and wait until it is consumed; the receipt of that."""
    outcome = await (await runtime.accept(payload)).wait_outcome()

    assert outcome.phase == "consumed", outcome
    assert outcome.receipt is not None
    return outcome.receipt


def peek(database: Path, sql: str) -> list[list[Any]]:
    """What another program reads in the store, as lists; bytes in hex."""
    return [[value.hex() if isinstance(value, bytes) else value for value in row] for row in rows_of(database, sql)]
