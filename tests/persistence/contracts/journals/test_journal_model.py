"""Journals and execution state against a model of dicts, on a file and in memory, alone in a group and in a replayed one."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, final

import attrs
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tenure import ExecutionSnapshot, ExecutionState, Fact, Store, Strategy
from tenure.errors import CursorConflict, FactConflict, InvalidInput, NotFound
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.models import Host, call, side_by_side
from tests.kit.shares import examples

STREAMS = ("a", "b")
HASHES: tuple[str | bytes, ...] = ("h", b"h", "g")
KEYS = ("e:k", "e:l", "e1:k", "exec:e:k", "e", "x:e:k")
EXECUTIONS = ("e", "e1", "x")
streams = st.sampled_from(STREAMS)
events = st.lists(st.sampled_from((1, None, {"n": [1]}, "two")), max_size=3)
hashes = st.sampled_from(HASHES)


@final
@attrs.define
class Model:
    """What a store holds, as dicts."""

    events: dict[str, list[Any]] = attrs.field(factory=dict[str, list[Any]])
    logs: dict[str, list[Any]] = attrs.field(factory=dict[str, list[Any]])
    snapshots: dict[str, tuple[int, bytes]] = attrs.field(factory=dict[str, tuple[int, bytes]])
    known: set[str] = attrs.field(factory=set[str])
    facts: dict[Any, Any] = attrs.field(factory=dict[Any, Any])
    values: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    executions: dict[str, tuple[str, int]] = attrs.field(factory=dict[str, tuple[str, int]])

    def append(self, stream: str, added: list[Any], expected: int | None, facts: list[Any]) -> int:
        cursor = len(self.events.get(stream, []))
        if expected is not None and expected != cursor:
            raise CursorConflict(stream=stream, expected=expected, actual=cursor)
        if not added:
            return cursor
        for fact in facts:
            self.declare(fact)
        self.events.setdefault(stream, []).extend(added)
        self.known.add(stream)
        return len(self.events[stream])

    def declare(self, fact: Any) -> None:
        if not isinstance(fact, Fact):
            if fact not in self.facts:
                raise NotFound(what="fact", key=str(fact))
        elif self.facts.setdefault(fact.hash, fact.value) != fact.value:
            raise FactConflict(hash=str(fact.hash))

    def save_snapshot(self, stream: str, cursor: int, data: bytes) -> bool:
        self.known.add(stream)
        head = len(self.events.get(stream, []))
        stored = self.snapshots.get(stream)
        if stored is not None and stored[0] > cursor and not stored[0] > head >= cursor:
            return False
        self.snapshots[stream] = cursor, data
        return True

    def delete(self, stream: str) -> None:
        for part in (self.events, self.logs, self.snapshots):
            part.pop(stream, None)
        self.known.discard(stream)

    def save_execution(self, name: str, tenant: str, sequence: int) -> bool:
        stored = self.executions.get(name)
        if stored is not None and stored[0] != tenant:
            raise InvalidInput(detail="another tenant's")
        if stored is not None and stored[1] > sequence:
            return False
        self.executions.pop(name, None)
        self.executions[name] = tenant, sequence
        return True

    def write(self, values: dict[str, bytes | None], *, keep: bool) -> int:
        written = 0
        for key, value in values.items():
            if value is None:
                written += self.values.pop(key, None) is not None
            elif not keep or key not in self.values:
                self.values[key] = value
                written += 1
        return written

    def delete_execution_state(self, name: str) -> None:
        self.executions.pop(name, None)
        for key in [key for key in self.values if key.startswith((f"{name}:", f"exec:{name}:"))]:
            del self.values[key]


def collected(state: list[Any], event: Any) -> list[Any]:
    return [*state, event]


def found(kept: dict[str, Any], key: str) -> Any:
    if key not in kept:
        raise NotFound(what="it", key=key)
    return kept[key]


class JournalMachine(RuleBasedStateMachine):
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
            for part in ("journal", "state"):
                problems = self.host.run(verify_part, self.store, part).problems
                assert not problems, problems
        finally:
            self.host.close()
            self.folder.cleanup()

    @property
    def store(self) -> Store:
        return self.host.store

    def both(self, verb: Callable[[], Awaitable[Any]], model: Callable[[Model], Any]) -> Any:
        """See `side_by_side`."""
        act = partial(self.host.run, call, self.store, verb, in_company=self.in_company)
        return side_by_side(self, model, act)

    @rule(
        stream=streams,
        added=events,
        off=st.sampled_from((None, 0, 0, 1, -1)),
        facts=st.lists(st.one_of(hashes, st.builds(Fact, hashes, st.sampled_from((1, None, b"1")))), max_size=2),
    )
    def append(self, stream: str, added: list[Any], off: int | None, facts: list[Any]) -> None:
        expected = None if off is None else max(len(self.model.events.get(stream, [])) + off, 0)
        self.both(
            lambda: self.store.journal.append(stream, added, expected, facts),
            lambda model: model.append(stream, added, expected, facts),
        )

    @rule(stream=streams, after=st.integers(0, 4))
    def stream(self, stream: str, after: int) -> None:
        async def read() -> list[Any]:
            return [each.event async for each in self.store.journal.stream(stream, after)]

        self.both(read, lambda model: found(model.events, stream)[after:])

    @rule(stream=streams, log=events)
    def save(self, stream: str, log: list[Any]) -> None:
        def model(model: Model) -> None:
            model.logs[stream] = log
            model.known.add(stream)

        self.both(lambda: self.store.journal.save(stream, log), model)

    @rule(stream=streams)
    def load(self, stream: str) -> None:
        self.both(lambda: self.store.journal.load(stream), lambda model: found(model.logs, stream))

    @rule(stream=streams, cursor=st.integers(0, 5), data=st.sampled_from((b"x", b"y")))
    def save_snapshot(self, stream: str, cursor: int, data: bytes) -> None:
        self.both(
            lambda: self.store.journal.save_snapshot(stream, cursor, data),
            lambda model: model.save_snapshot(stream, cursor, data),
        )

    @rule(stream=streams)
    def load_snapshot(self, stream: str) -> None:
        async def load() -> tuple[int, bytes]:
            kept = await self.store.journal.load_snapshot(stream)
            return kept.cursor, kept.snapshot

        self.both(load, lambda model: found(model.snapshots, stream))

    @rule(name=hashes, value=st.sampled_from((1, None, b"1")))
    def save_fact(self, name: str | bytes, value: Any) -> None:
        self.both(lambda: self.store.journal.save_fact(name, value), lambda model: model.declare(Fact(name, value)))

    @rule(name=hashes)
    def load_fact(self, name: str | bytes) -> None:
        self.both(lambda: self.store.journal.load_fact(name), lambda model: found(model.facts, name))  # type: ignore[arg-type]

    @rule(stream=streams)
    def delete(self, stream: str) -> None:
        self.both(lambda: self.store.journal.delete(stream), lambda model: model.delete(stream))

    @rule(stream=streams, added=events, every=st.integers(1, 3), snapshot=st.booleans(), flush=st.booleans())
    def through_a_log(self, stream: str, added: list[Any], every: int, *, snapshot: bool, flush: bool) -> None:
        """Append one by one through an open log, whose state is the list of all events."""

        async def work() -> list[Any]:
            async with self.store.journal.open(
                stream,
                collected,
                [],
                strategy=Strategy.every(every),
                snapshot_every=2 if snapshot else None,
            ) as log:
                for event in added:
                    await log.append([event])
                    if flush:
                        await log.flush()
                return log.state

        def model(model: Model) -> list[Any]:
            kept = model.snapshots.get(stream)
            if stream not in model.events and stream in model.logs:
                model.append(stream, model.logs[stream], None, [])
            if kept is not None and kept[0] <= len(model.events.get(stream, [])) and stream in model.events:
                return ["a snapshot that is no list"]
            model.append(stream, added, None, [])
            return model.events.get(stream, [])

        if stream not in self.model.snapshots:  # what another rule has kept there is no state of this fold
            self.both(work, model)
            self.keep_snapshot(stream)

    def keep_snapshot(self, stream: str) -> None:
        async def load() -> tuple[int, bytes] | None:
            try:
                kept = await self.store.journal.load_snapshot(stream)
            except NotFound:
                return None
            return kept.cursor, kept.snapshot

        kept = self.host.run(load)
        if kept is not None:
            assert kept[0] <= len(self.model.events[stream])
            self.model.snapshots[stream] = kept

    # Execution state

    @rule(key=st.sampled_from(KEYS), value=st.sampled_from((b"", b"v")))
    def set(self, key: str, value: bytes) -> None:
        self.both(lambda: self.store.state.set(key, value), lambda model: model.values.__setitem__(key, value))

    @rule(key=st.sampled_from(KEYS))
    def remove(self, key: str) -> None:
        def model(model: Model) -> None:
            model.values.pop(key, None)

        self.both(lambda: self.store.state.delete(key), model)

    @rule(
        values=st.dictionaries(st.sampled_from(KEYS), st.sampled_from((None, b"", b"w")), max_size=4),
        keep=st.booleans(),
    )
    def write(self, values: dict[str, bytes | None], *, keep: bool) -> None:
        self.both(lambda: self.store.state.write(values, keep=keep), lambda model: model.write(values, keep=keep))

    @rule(
        prefix=st.sampled_from(("e", "e:", "e:k", "exec:", "z")),
        after=st.sampled_from((None, "", "k", "x")),
        limit=st.integers(1, 4),
        reverse=st.booleans(),
    )
    def items(self, prefix: str, after: str | None, limit: int, *, reverse: bool) -> None:
        start = None if after is None else prefix + after

        def model(model: Model) -> list[tuple[str, bytes]]:
            pairs = sorted(model.values.items(), reverse=reverse)
            there = [pair for pair in pairs if pair[0].startswith(prefix)]
            coming = [pair for pair in there if start is None or (pair[0] < start if reverse else pair[0] > start)]
            return coming[:limit]

        self.both(lambda: self.store.state.items(prefix, after=start, limit=limit, reverse=reverse), model)

    @rule(name=st.sampled_from(EXECUTIONS), tenant=st.sampled_from(("t", "t", "u")), sequence=st.integers(0, 3))
    def save_execution(self, name: str, tenant: str, sequence: int) -> None:
        snapshot = ExecutionSnapshot.new(name, tenant, ExecutionState.RUNNING, sequence)
        self.both(
            lambda: self.store.state.save_snapshot(snapshot),
            lambda model: model.save_execution(name, tenant, sequence),
        )

    @rule(name=st.sampled_from(EXECUTIONS))
    def delete_execution_state(self, name: str) -> None:
        self.both(
            lambda: self.store.state.delete_execution_state(name), lambda model: model.delete_execution_state(name)
        )

    @rule(name=st.sampled_from(EXECUTIONS), stream=streams)
    def stale(self, name: str, stream: str) -> None:
        def model(model: Model) -> int | None:
            stored = model.executions.get(name)
            return None if stored is None else len(model.events.get(stream, [])) - stored[1]

        self.both(lambda: self.store.state.stale(name, stream), model)

    @invariant()
    def everything_that_is_known_is_the_same(self) -> None:
        if not hasattr(self, "host"):
            return

        async def look() -> Any:
            journal, state = self.store.journal, self.store.state
            return (
                await journal.list(),
                {key: await state.get(key) for key in KEYS},
                await state.get_all(KEYS),
                {tenant: await state.list_snapshots(tenant, 10) for tenant in ("t", "u")},
            )

        names = {
            tenant: [name for name, (owner, _) in reversed(self.model.executions.items()) if owner == tenant]
            for tenant in ("t", "u")
        }
        assert self.host.run(look) == (
            sorted(self.model.known),
            {key: self.model.values.get(key) for key in KEYS},
            self.model.values,
            names,
        )


JournalMachine.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=20)
TestJournals = JournalMachine.TestCase
