"""Journals and execution state, as a part of the scenario with every kind of commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from tenure.persistence.model.contracts.execution import (
    ExecutionSnapshot,
    ExecutionState,
)
from tenure.persistence.model.events.journal import Fact
from tenure.persistence.store import Store

from .words import Words

Retried = Callable[..., Awaitable[Any]]
"""Calls a verb again where the disk was full."""


async def tell_journals(store: Store, retried: Retried, runtime_id: str, token: int) -> None:
    """Streams that are written by verbs and through a log; one of a runtime, and one that is deleted."""
    journal = store.journal
    await retried(journal.append, "flow", [{"n": 1}, "two"], 0, [Fact("h", "fact"), Fact(b"h", None)])
    await retried(journal.append, "flow", [None], None, ["h"])
    await retried(journal.save_snapshot, "flow", 2, b"two", ["h"])
    await retried(journal.save_snapshot, "flow", 3, b"three")
    await retried(journal.save, "legacy", ["a", "b"])
    await retried(journal.checkpoint, "legacy", ["a", "b", "c"])
    await retried(journal.save_fact, "alone", [1])
    await retried(_call, journal.bind, "of a runtime", runtime_id, token)
    await retried(_append_fenced, store, "of a runtime", token)
    await _through_a_log(store, retried)
    await retried(journal.append, "brief", [{"n": number} for number in range(50)], None, [Fact("brief", 1)])
    await retried(journal.save_snapshot, "brief", 1, b"", ["brief"])
    await retried(journal.save, "brief", [1])
    await retried(journal.delete, "brief")


async def _through_a_log(store: Store, retried: Retried) -> None:
    async with store.journal.open("log", _count, 0, strategy="manual", snapshot_every=2, facts_above=50) as log:
        for number in range(5):
            await log.append([{"n": number, "text": "x" * 100}])
            await retried(log.flush)


def _count(state: int, _event: object) -> int:
    return state + 1


async def _call(verb: Callable[..., Awaitable[Any]], name: str, runtime_id: str, token: int) -> None:
    await verb(name, runtime_id, fence=token)


async def _append_fenced(store: Store, stream: str, token: int) -> None:
    await store.journal.append(stream, [1, 2], fence=token)


ONE_WRITE: Final = ("run1:one", "run1:two")
"""Keys that one commit writes, and nothing else."""


async def tell_state(store: Store, retried: Retried, runtime_id: str, token: int) -> None:
    """Snapshots and values: kept, expired, swept, of a runtime, and deleted with their execution."""
    state = store.state
    for sequence in (1, 3, 2):
        await retried(state.save_snapshot, ExecutionSnapshot.new("run1", "acme", ExecutionState.RUNNING, sequence))
    await retried(state.set, "run1:kept", b"value")
    await retried(state.set_json, "run1:kept", {"a": 1})
    await retried(state.write, {**dict.fromkeys(ONE_WRITE, b"1"), "brief:both": b"", "brief:absent": None})
    await retried(state.items, "run1:")
    await retried(state.renew, ONE_WRITE, None)
    await retried(_call, state.bind, "bound", runtime_id, token)
    await retried(_set_fenced, store, "bound:a", token)
    for number in range(3):
        await retried(state.set, f"brief:{number}", b"", 0.5)
    await trio.sleep(1)
    await retried(state.get, "brief:0")
    await retried(state.sweep)
    await retried(state.set, "brief:gone", b"")
    await retried(state.delete, "brief:gone")
    await retried(state.save_snapshot, ExecutionSnapshot.new("brief", "acme", ExecutionState.COMPLETED, 1))
    await retried(state.set, "exec:brief:a", b"")
    await retried(state.delete_execution_state, "brief")


async def _set_fenced(store: Store, key: str, token: int) -> None:
    await store.state.set(key, b"value", fence=token)


async def journals(words: Words) -> None:
    """Journals, one of them of a runtime."""
    await words.own("jay")
    await tell_journals(words.store, words.retried, "jay", words.tokens["jay"])


async def states(words: Words) -> None:
    """Execution states, one of them of a runtime."""
    await words.own("stan")
    await tell_state(words.store, words.retried, "stan", words.tokens["stan"])


async def journal_of_day(words: Words, day: int) -> None:
    """A stream that grows, with a large event now and then."""
    size = words.random.randrange(9_000)
    await words.retried(words.store.journal.append, "daily", [{"day": day, "text": "z" * size}, day], 2 * day)


async def state_of_day(words: Words, day: int) -> None:
    """A value that changes."""
    await words.retried(words.store.state.set_json, "daily:day", day, 3600.0 if day % 2 else None)
