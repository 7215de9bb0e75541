"""Owners, runs, steps, sends, dead letters, requests and takeovers against a model of dicts.

Commits wait until a draw says that they go to the store: then all of them at once, which makes one group, or one after another.
So each answer is the same on either write path, and with two hosts on the file, or the check fails.
"""

from __future__ import annotations

import copy
import tempfile
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import zip_longest
from typing import Any, cast

import attrs
import pytest
import trio
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tenure
from tenure import AbandonReason, InputId, Lane, Limits, LogicalRuntimeId, Retention, RunId, Seams, SessionId, Store
from tenure.errors import Error
from tenure.persistence.commits.commit import (
    Change,
    Commit,
)
from tenure.persistence.facets.attachments import attachments
from tenure.persistence.facets.conversation import moves
from tenure.persistence.facets.inbox import (
    batches,
    delays,
    inputs,
)
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.inbox.newcomers import Newcomer
from tenure.persistence.facets.output import output
from tenure.persistence.facets.ownership import ownership
from tenure.persistence.facets.ownership.lifecycle import (
    Hold,
    LifecycleWritten,
    WriteLifecycle,
)
from tenure.persistence.facets.records.holds import EndHold, PlaceHold
from tenure.persistence.facets.records.labels import Labelled, Relabel
from tenure.persistence.facets.runs import (
    deadlines,
    entries,
    interrupted,
    restarting,
    runs,
)
from tenure.persistence.facets.runs.dead_letters import (
    DropDeadLetter,
    Retried,
    RetryDeadLetter,
)
from tenure.persistence.facets.state.own_state import WriteOwnState
from tenure.persistence.model.codec import digest
from tenure.persistence.model.contracts.attachments import AttachmentIntent
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.model.inputs.delay import Delay
from tenure.persistence.model.output import OutputKind, Said, encode_chunk
from tenure.persistence.upkeep.verify import verify_runtime
from tests.kit.by_runtime import SCHEME, offered
from tests.kit.ground import host_key, submit
from tests.kit.models import keeping
from tests.kit.shares import examples
from tests.persistence.contracts.owners.owned import Owner
from tests.persistence.contracts.owners.owner_model import (
    DELAYED,
    INBOX,
    MAX_CRASHES,
    SAID,
    Chunk,
    Input,
    OwnerModel,
    Run,
    Runtime,
)
from tests.persistence.contracts.owners.talk_model import Seen, last
from tests.persistence.contracts.runtimes.model import Refused

OWNED = ("alice", "bob")
NAMES = (*OWNED, "newt")
"""The last one is there once an accept has made it, or a host has."""

LIMITS = Limits(inbox_inputs=INBOX, delayed_inputs=DELAYED, lease_s=9_000, renew_s=3_000)
KEPT = Retention(output_entries=SAID)
LABELS = (("a", "1"),)
"""Of every runtime that is made."""

INPUTS = tuple(f"i{number}" for number in range(6))
names = st.sampled_from(NAMES)
owned = st.sampled_from(OWNED)
"""Whose session has a known id: that of the last one is drawn where an accept has made it."""

tokens = st.sampled_from((*("right",) * 10, "none", "old"))
mostly = st.sampled_from((*(True,) * 9, False))
seldom = st.sampled_from((*(False,) * 7, True))

MOVES = (EntryKind.POP, EntryKind.REWRITE, EntryKind.FORK)
FILES = tuple(digest(each).hex() for each in (b"1", b"2", b"3"))

TABLES = {
    "runtime": "SELECT state, generation, fence_token, held, crashes FROM runtimes WHERE runtime_id = ?",
    "inputs": (
        "SELECT i.input_id, phase, reason, i.attempts, u.run_id, joined, boundary, i.pruned_at IS NOT NULL, p.payload,"
        " i.deadline, i.due_at"
        " FROM inputs i JOIN runtimes t USING (runtime) LEFT JOIN runs u ON u.run = i.run LEFT JOIN payloads p USING (input)"
        " WHERE t.runtime_id = ? ORDER BY i.admission"
    ),
    "runs": (
        "SELECT u.run_id, attempts, outcome, (SELECT count(*) FROM receipts c WHERE c.run = u.run), t.run = u.run"
        " FROM runs u JOIN runtimes t USING (runtime) WHERE t.runtime_id = ? ORDER BY u.run"
    ),
    "entries": (
        "SELECT u.run_id, place, status, result, repeat FROM entries JOIN runs u USING (run) JOIN runtimes t USING (runtime)"
        " WHERE t.runtime_id = ? ORDER BY u.run, place"
    ),
    "sends": (
        "SELECT u.run_id, send_index, target, refused IS NOT NULL, payload FROM sends JOIN runs u USING (run)"
        " JOIN runtimes t USING (runtime) WHERE t.runtime_id = ? ORDER BY u.run, send_index"
    ),
    "messages": (
        "SELECT payload, tombstoned_at IS NOT NULL, CASE WHEN n.node = s.head THEN 1 ELSE 0 END,"
        " EXISTS (SELECT 1 FROM branches b WHERE b.node = n.node)"
        " FROM nodes n JOIN sessions s USING (session) JOIN runtimes t ON t.session = s.session"
        " WHERE t.runtime_id = ? ORDER BY n.node"
    ),
    "attached": (
        "SELECT attachment_id, committed_at IS NOT NULL FROM attachments a JOIN sessions s USING (session_id)"
        " JOIN runtimes t ON t.session = s.session WHERE t.runtime_id = ? ORDER BY attachment_id"
    ),
    "kept": (
        "SELECT name, value FROM own_values v JOIN runtimes t USING (runtime) WHERE t.runtime_id = ? AND value IS NOT NULL"
        " AND revision = (SELECT max(revision) FROM own_values n WHERE n.runtime = v.runtime AND n.name = v.name) ORDER BY name"
    ),
    "revision": "SELECT revision, names FROM own_states JOIN runtimes t USING (runtime) WHERE t.runtime_id = ?",
    "labels": "SELECT name, value FROM labels l JOIN runtimes t USING (runtime) WHERE t.runtime_id = ? ORDER BY name",
    "relabelled": "SELECT revision FROM label_sets s JOIN runtimes t USING (runtime) WHERE t.runtime_id = ?",
    "output": (
        "SELECT c.run_id, c.speech, c.number, c.entries, c.body FROM output_chunks c JOIN runtimes t USING (runtime)"
        " WHERE t.runtime_id = ? ORDER BY c.chunk"
    ),
    "requests": (
        "SELECT request_id, answer FROM requests JOIN runtimes t USING (runtime) WHERE t.runtime_id = ? ORDER BY request"
    ),
}


def expected(runtime: Runtime) -> dict[str, list[tuple[Any, ...]]]:
    """What the tables hold if the model is right."""
    of_runs, talk = runtime.runs.values(), runtime.talk
    return {
        "runtime": [(runtime.state, runtime.generation, runtime.token, runtime.held, runtime.crashes)],
        "inputs": [
            (
                *(each.input_id, each.phase, each.reason, each.attempts, each.run, each.joined, each.boundary),
                *(int(each.pruned), None if each.pruned else each.payload, each.deadline, each.due),
            )
            for each in runtime.inputs
        ],
        "runs": [
            (
                run.run_id,
                run.attempts,
                run.outcome,
                run.boundaries,
                None if runtime.run is None else int(run.run_id == runtime.run),
            )
            for run in of_runs
        ],
        "entries": [(run.run_id, place, *run.entries[place]) for run in of_runs for place in sorted(run.entries)],
        "sends": [
            (run.run_id, send["index"], send["target"], int(send["refused"]), send["payload"])
            for run in of_runs
            for send in run.sends
        ],
        "messages": [
            (message, int(at in talk.hidden), int(last(talk.path) == at), int(at in talk.ends))
            for at, message in enumerate(talk.messages)
        ],
        "attached": [(each, int(stamped)) for each, stamped in sorted(runtime.attached.items())],
        "kept": sorted(runtime.kept.items()),
        "revision": [(runtime.revision, len(runtime.kept))] if runtime.revision else [],
        "labels": sorted(runtime.labels.items()),
        "relabelled": [(runtime.relabelled,)] if runtime.relabelled else [],
        "output": [
            (
                each.run,
                each.speech,
                each.number,
                len(each.words),
                encode_chunk([said_of(each, word) for word in each.words]),
            )
            for each in runtime.output
        ],
        "requests": list(runtime.requests.items()),
    }


def said_of(chunk: Chunk, word: bytes) -> Said:
    """A word as it is stored."""
    if word == b"begun":
        return Said(OutputKind.BEGUN)
    return word_of(word) if chunk.speech else Said(OutputKind.ENDED, value=word)


def word_of(value: bytes) -> Said:
    return Said(OutputKind.DATA, "output", "main", 0, value)


def plain(answer: Any) -> Any:
    """An answer as the model gives it."""
    match answer:
        case inputs.AcceptedInput():
            told: Any = answer.input_id, answer.phase, answer.reason, answer.deduplicated
        case ownership.Ownership():
            standing = (answer.state, answer.generation, answer.fence_token, answer.held)
            told = *standing, answer.has_work, answer.in_flight, answer.crashes
        case runs.RunBegun():
            batch = tuple((each.input_id, each.phase, each.attempts, each.joined) for each in answer.inputs)
            told = answer.run_id, answer.again, answer.attempts, batch, answer.base_count, answer.more
        case runs.NothingBegun():
            told = None
        case batches.InputEnded():
            told = answer.input_id, answer.phase
        case LifecycleWritten():
            told = answer.generation, answer.abandoned
        case Labelled():
            told = answer.revision, answer.labels
        case delays.DueQueued() | Retried():
            told = answer.input_ids
        case [batches.BatchMember(), *_]:
            told = tuple(each.input_id for each in answer)
        case _:
            told = answer
    return told


def agree(answer: Any, right: Any) -> bool:
    """Whether an answer is as the model says; `...` is whatever the store decides."""
    if right is ...:
        return not isinstance(answer, type)
    if isinstance(right, tuple) and isinstance(answer, tuple):
        pairs = zip_longest(cast("tuple[Any, ...]", answer), cast("tuple[Any, ...]", right), fillvalue=Refused)
        return all(agree(each, wanted) for each, wanted in pairs)
    return bool(answer == right)


class Hosts:
    """Two stores on one file, or one in memory, of any engine, in a trio loop of their own on a thread of its own."""

    def __init__(self, target: str, count: int) -> None:
        self.count = count
        self.now = 1_000.0
        self.stores: dict[str, Store] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(target,))
        self._thread.start()
        self._ready.wait()

    def _run(self, target: str) -> None:
        with offered():
            trio.run(self._serve, target)

    async def _serve(self, target: str) -> None:
        seams = Seams(wall_clock=lambda: self.now)
        try:
            async with tenure.open_store(
                target, durability="memory", limits=LIMITS, retention=KEPT, seams=seams
            ) as self.stores["A"]:
                if self.count == 1:
                    await self._work()
                    return
                # It keeps the rows of every group for a while, as groups of many commits do.
                seams = attrs.evolve(seams, engine=keeping(target).engine)
                async with tenure.open_store(
                    target, durability="memory", limits=LIMITS, retention=KEPT, seams=seams
                ) as self.stores["B"]:
                    await self._work()
        finally:
            self._ready.set()

    async def _work(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._stop = trio.Event()
        self._ready.set()
        await self._stop.wait()

    def run(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return trio.from_thread.run(function, *arguments, trio_token=self._token)

    def close(self) -> None:
        trio.from_thread.run_sync(self._stop.set, trio_token=self._token)
        self._thread.join()


@attrs.frozen
class Waiting:
    """A commit that was not given to the store yet, and what must come of it."""

    host: str
    what: str
    commit: Commit
    answers: Any


class OwnerMachine(RuleBasedStateMachine):
    """Two hosts beside their model."""

    @initialize(where=st.sampled_from(("", ":memory:", f"{SCHEME}://")))
    def open(self, where: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        alone = where == ":memory:"
        self.hosts = Hosts(where if alone else f"{where}{self.folder.name}/agents.db", 1 if alone else 2)
        self.model = OwnerModel()
        self.waiting: list[Waiting] = []
        self.count = 0
        for name in OWNED:
            self.own(name, "A")

    def teardown(self) -> None:
        if not hasattr(self, "hosts"):
            return
        try:
            self.flush(grouped=True)
        finally:
            self.hosts.close()
            self.folder.cleanup()

    # From the rules to both sides

    def write(
        self,
        host: str,
        what: str,
        change: tuple[Change, ...],
        model: Callable[[OwnerModel], Any],
        token: tuple[Any, str] = (None, "none"),
    ) -> None:
        """Have the model answer now; the store will be asked later. `token` is (runtime, which) for guarded changes."""
        host = host if host in self.hosts.stores else "A"
        if self.waiting and self.waiting[0].host != host:
            self.flush(grouped=True)
        self.model.lost.discard(host)  # it registers anew with its next group
        attempt = copy.deepcopy(self.model)
        answers: Any
        name, which = token
        runtime = None if name is None else self.model.runtimes.get(name)
        given = None if which == "none" or runtime is None else runtime.token - (which == "old")
        commit = Commit(runtime_id=name, fence_token=given, changes=change)
        try:
            if name is not None:
                attempt.guarded(name, given)
            answers = model(attempt)
        except Refused as refusal:
            answers = refusal.error
        else:
            attempt.end_speeches(self.model)
            self.model = attempt
        self.waiting.append(Waiting(host, what, commit, answers))

    def flush(self, *, grouped: bool) -> None:
        """Give the store what waits: in one group, or one commit after another."""
        waiting, self.waiting = self.waiting, []
        if waiting:
            found = self.hosts.run(partial(self._commit_all, waiting, grouped=grouped))
            for each, answers in zip(waiting, found, strict=True):
                assert agree(answers, each.answers), (each, answers, "grouped" if grouped else "one by one")
            self.hosts.run(self._compare)

    async def _commit_all(self, waiting: list[Waiting], *, grouped: bool) -> list[Any]:
        pending: list[Any] = []
        for each in waiting:
            pending.append(submit(self.hosts.stores[each.host], each.commit))
            if not grouped:
                await self._settle(pending[-1])
        return [await self._settle(each) for each in pending]

    async def _settle(self, pending: Any) -> Any:
        try:
            values = (await pending.wait()).values
        except Error as error:
            return type(error)
        answers = [plain(value) for value in values]
        return answers[0] if len(answers) == 1 else tuple(answers)

    async def _compare(self) -> None:
        for store in self.hosts.stores.values():
            async with store.read_connection() as connection:
                for name, runtime in self.model.runtimes.items():
                    right = expected(runtime)
                    for table, sql in TABLES.items():
                        assert await connection.query(sql, (name,)) == right[table], (name, table)
        for name in self.model.runtimes:
            verified = await self.hosts.stores["A"].read(partial(verify_runtime, runtime_id=LogicalRuntimeId(name)))
            assert verified.is_sound, verified.problems

    def new(self, what: str) -> str:
        self.count += 1
        return f"{what} {self.count}"

    def work_on(self, name: str) -> None:
        """Have a run under way where there can be one."""
        runtime = self.model.runtimes.get(name)
        if runtime is None:
            self.own(name, "A")
        elif self.model.of_it(name):
            return
        elif runtime.run is None and runtime.held is None and runtime.state == "idle":
            if not runtime.inbox():
                self.accept(name, None, b"1", Lane.QUEUE, "A")
            self.begin(name, 2, "right", "A")

    def run_of(self, name: str, *, right: bool = True) -> RunId:
        if right:
            self.work_on(name)
        runtime = self.model.runtimes.get(name)
        return RunId(runtime.run if right and runtime is not None and runtime.run is not None else "no such run")

    def owner(self, name: str) -> Owner:
        return Owner(self.hosts.stores["A"], name)

    @rule(grouped=st.booleans())
    @precondition(lambda self: len(self.waiting) > 1)
    def commit_what_waits(self, *, grouped: bool) -> None:
        self.flush(grouped=grouped)

    # Owners and lives

    @rule(name=names, host=st.sampled_from("AB"), revive=st.booleans())
    def own(self, name: str, host: str, *, revive: bool = True) -> None:
        host = host if host in self.hosts.stores else "A"
        take = ownership.TakeOwnership(
            runtime_id=LogicalRuntimeId(name),
            kind="k",
            epoch="e",
            session_id=SessionId(f"talk-{name}"),
            max_crashes=MAX_CRASHES,
            revive=revive,
            labels=LABELS,
        )
        self.write(host, "own", (take,), lambda model: model.own(name, host, revive=revive, labels=LABELS))

    @rule(host=st.sampled_from("AB"))
    def lose(self, host: str) -> None:
        other = "B" if host == "A" else "A"
        if len(self.hosts.stores) < 2 or other in self.model.lost:
            return
        self.flush(grouped=True)
        mark = ownership.MarkLost(host=host_key(self.hosts.stores[other]), counter=None)

        def model(model: OwnerModel) -> bool:
            model.lost.add(other)
            return True

        self.write(host, "lose", (mark,), model)

    @rule(name=names, host=st.sampled_from("AB"), which=tokens, sure=seldom)
    def release(self, name: str, host: str, which: str, *, sure: bool) -> None:
        if not sure:
            return

        def model(model: OwnerModel) -> None:
            runtime = model.runtimes[name]
            if runtime.staged() and runtime.owner in model.lost:
                model.charge(runtime)  # afterwards the store no longer says what its host had in flight
            runtime.owner = None

        host = host if host in self.hosts.stores else "A"
        change = ownership.ReleaseOwnership(runtime_id=LogicalRuntimeId(name), max_crashes=MAX_CRASHES)
        self.write(host, "release", (change,), model, (name, which))

    @rule(
        name=names,
        event=st.sampled_from(("retired", "idle", "idle", "reset", "stopped", "reset", "destroyed")),
        which=tokens,
        sure=seldom,
    )
    def live(self, name: str, event: str, which: str, *, sure: bool) -> None:
        runtime = self.model.runtimes.get(name)
        if runtime is None or runtime.state == "destroyed" or (event in {"retired", "destroyed"} and not sure):
            return
        state = "idle" if event == "reset" else event
        reason = None if event in {"retired", "idle"} else AbandonReason(event)
        change = WriteLifecycle(
            runtime_id=LogicalRuntimeId(name),
            state=tenure.RuntimeState(state),
            abandon=reason,
            abandon_delayed=AbandonReason.RETIRED if event == "retired" else None,
            end_run=reason is not None,
            next_generation=event == "reset",
        )
        self.write(
            "A", event, (change,), lambda model: model.lifecycle(model.runtimes[name], state, reason), (name, which)
        )

    @rule(name=names, reason=st.sampled_from((None, None, None, "of a test")), which=tokens)
    def hold(self, name: str, reason: str | None, which: str) -> None:
        def model(model: OwnerModel) -> None:
            runtime = model.runtimes[name]
            runtime.held = reason
            runtime.crashes = runtime.crashes if reason else 0

        change = Hold(runtime_id=LogicalRuntimeId(name), reason=reason)
        self.write("A", "hold", (change,), model, (name, which))

    @rule(
        name=names,
        what=st.sampled_from("ab"),
        value=st.sampled_from((b"1", b"2", None)),
        behind=st.sampled_from((None, None, 0, 0, 1)),
        which=tokens,
    )
    def keep(self, name: str, what: str, value: bytes | None, behind: int | None, which: str) -> None:
        runtime = self.model.runtimes.get(name)
        wanted = None if behind is None or runtime is None else runtime.revision - behind
        change = WriteOwnState(runtime_id=LogicalRuntimeId(name), values=((what, value),), expected=wanted)
        self.write(
            "A", "keep", (change,), lambda model: model.keep(model.runtimes[name], what, value, wanted), (name, which)
        )

    @rule(name=names, what=st.sampled_from("ab"), value=st.sampled_from(("1", "2", None)), which=tokens)
    def relabel(self, name: str, what: str, value: str | None, which: str) -> None:
        change = Relabel(runtime_id=LogicalRuntimeId(name), changed=((what, value),))
        self.write(
            "A", "relabel", (change,), lambda model: model.relabel(model.runtimes[name], what, value), (name, which)
        )

    # Inboxes

    @rule(
        name=names,
        key=st.sampled_from((None, None, "k", "l")),
        payload=st.sampled_from((b"1", b"2")),
        lane=st.sampled_from((Lane.QUEUE, Lane.QUEUE, Lane.STEER)),
        host=st.sampled_from("AB"),
        kind=st.sampled_from((None, None, "k", "k", "other")),
        deadline_s=st.sampled_from((None, None, None, 1.0, 2.0)),
        after_s=st.sampled_from((None, None, None, None, 0.0, 1.0, 2.0)),
    )
    def accept(
        self,
        name: str,
        key: str | None,
        payload: bytes,
        lane: Lane,
        host: str,
        kind: str | None = None,
        *,
        deadline_s: float | None = None,
        after_s: float | None = None,
    ) -> None:
        input_id = self.new("i")
        session = SessionId(self.new("talk"))
        newcomer = None if kind is None else Newcomer(kind=kind, session_id=session, labels=LABELS)
        change = inputs.AcceptInput(
            runtime_id=LogicalRuntimeId(name),
            input_id=InputId(input_id),
            lane=lane,
            idempotency_key=key,
            payload=payload,
            payload_digest=digest(payload),
            newcomer=newcomer,
            deadline_s=deadline_s,
            delay=None if after_s is None else Delay(after_s=after_s),
        )
        due = self.model.now + after_s if after_s else None
        ends = None if deadline_s is None else (due or self.model.now) + deadline_s
        made = Input(
            input_id=input_id, payload=payload, key=key, lane=lane, deadline=ends, due=due, created=self.model.now
        )
        self.write(
            host, "accept", (change,), lambda model: model.accept(name, copy.copy(made), kind=kind, labels=LABELS)
        )

    @rule()
    def a_second_passes(self) -> None:
        self.flush(grouped=True)
        self.model.now += 1.0
        self.hosts.now = self.model.now

    @rule(name=st.sampled_from((*NAMES, None, None)), host=st.sampled_from("AB"), sure=seldom)
    def place_hold(self, name: str | None, host: str, *, sure: bool) -> None:
        if sure:
            kind = "k" if name is None else None
            change = PlaceHold(runtime_id=None if name is None else LogicalRuntimeId(name), kind=kind)
            self.write(host, "place a hold", (change,), lambda model: model.place(name, kind))

    @rule(host=st.sampled_from("AB"), data=st.data())
    @precondition(lambda self: self.model.holds)
    def end_hold(self, host: str, data: Any) -> None:
        name, kind = data.draw(st.sampled_from(sorted(self.model.holds, key=str)))
        change = EndHold(runtime_id=None if name is None else LogicalRuntimeId(name), kind=kind)
        self.write(host, "end a hold", (change,), lambda model: model.end_hold(name, kind))

    @rule(name=names, host=st.sampled_from("AB"))
    def queue_due(self, name: str, host: str) -> None:
        change = delays.QueueDue(runtime_id=LogicalRuntimeId(name))
        host = host if host in self.hosts.stores else "A"
        self.write(host, "queue due", (change,), lambda model: model.queue_due(name, host))

    @rule(name=names, host=st.sampled_from("AB"))
    def expire(self, name: str, host: str) -> None:
        change = deadlines.ExpireInputs(runtime_id=LogicalRuntimeId(name))
        self.write(host, "expire", (change,), lambda model: model.expire(name))

    @rule(name=names, what=st.sampled_from(("members", "last members", "run")), which=tokens)
    def expire_in_flight(self, name: str, what: str, which: str) -> None:
        run_id, runtime_id = self.run_of(name), LogicalRuntimeId(name)
        if what == "run":
            drop = deadlines.DropLateRun(runtime_id=runtime_id)
            self.write("A", what, (drop,), lambda model: model.drop_late(name), (name, which))
            return

        ends = what == "last members"
        change = deadlines.ExpireMembers(runtime_id=runtime_id, run_id=run_id, ends=ends)
        self.write("A", what, (change,), lambda model: model.expire_members(name, run_id, ends=ends), (name, which))

    def some_input(self, data: Any, name: str, *, run: str | None = None, dead: bool = False) -> InputId:
        """Mostly a member of this run, or a dead letter; else any input, or none."""
        runtime = self.model.runtimes.get(name, Runtime())
        known = [each.input_id for each in runtime.inputs]
        sent = [send["input_id"] for each in runtime.runs.values() for send in each.sends if send["input_id"]]
        if dead:
            wanted = [
                *sent,
                *(each.input_id for each in runtime.inputs if each.phase == "abandoned" and not each.pruned),
            ]
        else:
            wanted = [each.input_id for each in runtime.batch(run) if each.phase == "staged"]
        anything = not wanted or data.draw(seldom)
        return InputId(data.draw(st.sampled_from(["no such input", *known] if anything else wanted)))

    @rule(
        name=names, data=st.data(), verb=st.sampled_from(("cancel", "with run", "retry", "fresh", "drop")), which=tokens
    )
    def inbox_verb(self, name: str, data: Any, verb: str, which: str) -> None:
        dead = verb not in {"cancel", "with run"}
        input_id, runtime_id = self.some_input(data, name, dead=dead), LogicalRuntimeId(name)

        def model(model: OwnerModel) -> Any:
            runtime = model.runtimes[name]
            match verb:
                case "cancel":
                    return model.cancel(runtime, input_id)
                case "with run":
                    input_ids, ended = model.cancel_with_run(runtime, input_id)
                    return interrupted.CancelledInputs(input_ids=tuple(map(InputId, input_ids)), ended_run=ended)
                case "drop":
                    return model.drop(runtime, input_id)
                case _:
                    return model.retry(runtime, input_id, fresh=verb == "fresh")

        changes: dict[str, Change] = {
            "cancel": CancelInput(runtime_id=runtime_id, input_id=input_id),
            "with run": interrupted.CancelWithRun(runtime_id=runtime_id, input_id=input_id),
            "drop": DropDeadLetter(runtime_id=runtime_id, input_id=input_id),
        }
        change = changes.get(verb, RetryDeadLetter(runtime_id=runtime_id, input_id=input_id, fresh=verb == "fresh"))
        self.write("A", verb, (change,), model, (name, which))

    # Runs

    @rule(name=names, count=st.integers(1, 3), which=tokens, host=st.sampled_from("AB"))
    def begin(self, name: str, count: int, which: str, host: str) -> None:
        run_id = self.new("run")
        change = runs.BeginRun(runtime_id=LogicalRuntimeId(name), run_id=RunId(run_id), batch=count)
        self.write(host, "begin", (change,), lambda model: model.begin(name, run_id, count), (name, which))

    @rule(
        name=names,
        right=mostly,
        ending=st.sampled_from(("finish", "finish", "go on", "fail", "last", "held")),
        unseen=st.sampled_from(("none", "none", "all", "a stranger")),
        which=tokens,
    )
    def end(self, name: str, ending: str, unseen: str, which: str, *, right: bool) -> None:
        run_id, owner = self.run_of(name, right=right), LogicalRuntimeId(name)
        known = self.model.runtimes.get(name, Runtime())
        joined = [each.input_id for each in known.batch(run_id) if each.joined is not None]
        after, given = RunId(self.new("run")), InputId(self.new("given"))
        left = {"none": (), "all": tuple(map(InputId, joined)), "a stranger": (InputId("no such input"),)}[unseen]

        def model(model: OwnerModel) -> Any:
            runtime = model.runtimes[name]
            run = model.current(runtime, run_id)
            if ending == "finish":
                return model.finish(runtime, run, left)
            if ending == "go on":
                return model.finish(runtime, run, left), model.go_on(name, run, after, given)
            return model.fail(runtime, run, last=ending == "last", held="budget" if ending == "held" else None)

        change: Change = runs.FailRun(
            runtime_id=owner,
            run_id=run_id,
            error="it broke",
            retry_at=None if ending == "last" else 2_000.0,
            failures="[]",
            held="budget" if ending == "held" else None,
        )
        if ending not in {"finish", "go on"}:
            self.write("A", ending, (change,), model, (name, which))
            return
        receipt, finish = self.receipt(name, run_id), runs.FinishRun(runtime_id=owner, run_id=run_id, unseen=left)
        if ending == "go on":
            again = attrs.evolve(self.owner(name).again(""), run_id=run_id, next_run_id=after, input_id=given)  # type: ignore[misc]
            self.write("A", ending, (receipt, finish, again), lambda each: (..., *model(each)), (name, which))
            return
        # Only the answer of the second is compared: a receipt has much that is the store's own.
        self.write("A", ending, (receipt, finish), lambda each: (..., model(each)), (name, which))

    def receipt(self, name: str, run_id: RunId) -> Change:
        return attrs.evolve(self.owner(name).receipt(""), run_id=run_id)  # type: ignore[misc]

    @rule(
        name=names,
        right=mostly,
        messages=st.lists(st.sampled_from((b"a", b"b")), max_size=2).map(tuple),
        receivers=st.lists(st.sampled_from((*NAMES, "nobody")), max_size=2),
        data=st.data(),
        which=tokens,
    )
    def checkpoint(
        self, name: str, messages: tuple[bytes, ...], receivers: list[str], data: Any, which: str, *, right: bool
    ) -> None:
        run_id, owner = self.run_of(name, right=right), self.owner(name)
        runtime = self.model.runtimes.get(name)
        known = runtime.runs.get(run_id) if runtime is not None else None
        first = len(known.sends) + 1 if known is not None else 1
        sends = [
            {"index": first + at, "target": target, "input_id": self.new("sent"), "payload": b'"hello"'}
            for at, target in enumerate(receivers)
        ]
        rejected = self.some_input(data, name, run=run_id) if data.draw(seldom) else None
        consumed = self.some_input(data, name, run=run_id) if data.draw(seldom) else None

        def model(model: OwnerModel) -> Any:
            runtime = model.runtimes[name]
            run = model.current(runtime, run_id)
            answers: list[Any] = [...]
            if rejected is not None:
                answers.append(model.end_member(runtime, run, rejected, "abandoned"))
            model.checkpoint(name, run, messages, sends)
            answers += [..., *(... for _ in sends)]
            if consumed is not None:
                answers.append(model.end_member(runtime, run, consumed, "consumed"))
            return (*answers, model.steer(runtime, run))

        changes: list[Change] = [attrs.evolve(owner.append("", *messages), run_id=run_id)]  # type: ignore[misc]
        if rejected is not None:
            changes.append(runs.RejectInput(runtime_id=owner.runtime_id, run_id=run_id, input_id=rejected, error="no"))
        changes += [
            attrs.evolve(owner.send("", send["index"], send["target"]), run_id=run_id, input_id=send["input_id"])  # type: ignore[misc]
            for send in sends
        ]
        changes.append(self.receipt(name, run_id))
        if consumed is not None:
            changes.append(runs.ConsumeInput(runtime_id=owner.runtime_id, run_id=run_id, input_id=consumed))
        changes.append(runs.StageSteered(runtime_id=owner.runtime_id, run_id=run_id))
        self.write("A", "checkpoint", tuple(changes), model, (name, which))

    @rule(
        name=names,
        right=mostly,
        kind=st.sampled_from(MOVES),
        count=st.integers(0, 4),
        back=seldom,
        messages=st.lists(st.sampled_from((b"c", b"d")), min_size=1, max_size=2).map(tuple),
        which=tokens,
    )
    def move(
        self,
        name: str,
        kind: EntryKind,
        count: int,
        messages: tuple[bytes, ...],
        which: str,
        *,
        right: bool,
        back: bool,
    ) -> None:
        """Take back the last messages, rewrite all but the first ones, or fork: behind some, or to what was forked from."""
        run_id, runtime = self.run_of(name, right=right), self.model.runtimes.get(name)
        run = None if runtime is None else runtime.runs.get(run_id)
        seen = Seen(()) if run is None else run.seen
        kept = min(count, seen.path.count)
        path, brings = seen.path.first(seen.path.count - kept if kind is EntryKind.POP else kept), ()
        if kind is EntryKind.REWRITE:
            brings = messages
            path = path.extended(len(seen.own), len(seen.own) + len(messages))
        elif kind is EntryKind.FORK and back and seen.left_behind:
            path = seen.left_behind[-1]
        left, seen_count = seen.path, seen.path.count
        change = moves.MoveHead(
            runtime_id=LogicalRuntimeId(name),
            run_id=run_id,
            move=moves.Move(
                place=f"main/{seen_count}",
                kind=kind,
                path=path,
                appended=len(seen.own) + len(brings),
                added=len(brings),
            ),
            count=seen_count,
            messages=brings,
        )

        def model(model: OwnerModel) -> Any:
            run = model.current(model.runtimes[name], run_id)
            answer = model.move(name, run, path, seen_count, brings, hides=kind is not EntryKind.FORK)
            # What is hidden is no place to go back to.
            run.seen.left_behind = [left] if kind is EntryKind.FORK else []
            return answer

        self.write("A", kind, (change, self.receipt(name, run_id)), model, (name, which))

    @rule(
        name=owned,
        files=st.lists(st.sampled_from(FILES), min_size=1, max_size=2, unique=True),
        which=tokens,
        right=mostly,
    )
    def attach(self, name: str, files: list[str], which: str, *, right: bool) -> None:
        """Mean files, and commit them with a boundary of a run."""
        run_id, session = self.run_of(name, right=right), f"talk-{name}"
        for each in files[:1]:  # the other one is known, or passed over
            intent = AttachmentIntent(attachment_id=each, session_id=session, canonical_uri=f"sha256:{each}")
            meant = attachments.RecordIntent(intent=intent)
            self.write("A", "mean", (meant,), lambda model, each=each: model.attach(name, each))
        stamp = attachments.StampAttachments(session_id=session, attachment_ids=tuple(files))

        def model(model: OwnerModel) -> Any:
            return model.stamp(name, model.current(model.runtimes[name], run_id), tuple(files))

        self.write("A", "attach", (stamp, self.receipt(name, run_id)), model, (name, which))

    @rule(name=owned, file=st.sampled_from(FILES))
    def forget(self, name: str, file: str) -> None:
        change = attachments.ForgetAttachment(session_id=f"talk-{name}", attachment_id=file)
        self.write("A", "forget", (change,), lambda model: model.forget(name, file))

    @rule(name=names, repeat_never=seldom, again=st.booleans(), which=tokens, likely=mostly, takes_back=st.booleans())
    def restart(
        self, name: str, which: str, *, repeat_never: bool, again: bool, likely: bool, takes_back: bool
    ) -> None:
        """Let the current run begin anew, mostly one that has recorded something and has failed; and begin it."""
        if likely and not self.waiting:
            self.record(name, "main/1", entries.EntryStatus.SUCCEEDED, entries.Repeat.KEYED, "right", right=True)
            if takes_back:
                self.move(name, EntryKind.POP, 2, (), "right", right=True, back=False)
            self.interrupt(name, "unstage", "right")
        change = restarting.AmendRun(runtime_id=LogicalRuntimeId(name), restart=True, repeat_never=repeat_never)

        def model(model: OwnerModel) -> None:
            runtime = model.runtimes[name]
            if runtime.run is not None:
                runtime.runs[runtime.run].ways |= {"restart", *["repeat never"] * repeat_never}

        self.write("A", "restart", (change,), model, (name, which))
        if again:
            self.begin(name, 2, "right", "A")

    @rule(name=names, verb=st.sampled_from(("unstage", "drop", "cancel", "charge", "acquit")), which=tokens)
    def interrupt(self, name: str, verb: str, which: str) -> None:
        run_id, runtime_id = self.run_of(name), LogicalRuntimeId(name)
        changes: dict[str, Change] = {
            "unstage": interrupted.UnstageRun(runtime_id=runtime_id),
            "drop": interrupted.DropRun(runtime_id=runtime_id, reason=None),
            "cancel": interrupted.DropRun(runtime_id=runtime_id, reason=AbandonReason.CANCELLED),
            "charge": interrupted.ChargeCrash(runtime_id=runtime_id, max_crashes=MAX_CRASHES),
            "acquit": interrupted.AcquitRun(runtime_id=runtime_id, run_id=run_id),
        }

        def model(model: OwnerModel) -> Any:
            runtime = model.runtimes[name]
            match verb:
                case "unstage":
                    return runtime.unstage()
                case "charge":
                    crashes = model.charge(runtime)
                    runtime.unstage()
                    return crashes
                case "acquit":
                    model.current(runtime, run_id)
                    runtime.crashes = 0
                    return None
                case _:
                    return model.drop_run(runtime, None if verb == "drop" else "cancelled")

        self.write("A", verb, (changes[verb],), model, (name, which))

    # Steps

    @rule(
        name=names,
        place=st.sampled_from(("main/1", "main/2", "#call")),
        status=st.sampled_from(entries.EntryStatus),
        repeat=st.sampled_from(entries.Repeat),
        right=mostly,
        which=tokens,
    )
    def record(
        self, name: str, place: str, status: entries.EntryStatus, repeat: entries.Repeat, which: str, *, right: bool
    ) -> None:
        run_id = self.run_of(name, right=right)
        result = b"1" if status is entries.EntryStatus.SUCCEEDED else None
        change = entries.RecordEntry(
            runtime_id=LogicalRuntimeId(name),
            run_id=run_id,
            place=place,
            kind=entries.EntryKind.STEP,
            name="pay",
            arguments_digest=b"",
            version="",
            repeat=repeat,
            status=status,
            result=result,
            started_at=1.0,
        )

        def model(model: OwnerModel) -> None:
            model.current(model.runtimes[name], run_id).entries[place] = (str(status), result, str(repeat))

        self.write("A", "record", (change,), model, (name, which))

    @rule(
        name=names, places=st.lists(st.sampled_from(("main/1", "main/2", "#call")), max_size=2).map(tuple), which=tokens
    )
    def forget_unbegun(self, name: str, places: tuple[str, ...], which: str) -> None:
        run_id = self.run_of(name)
        change = interrupted.ForgetUnbegun(runtime_id=LogicalRuntimeId(name), run_id=run_id, places=places)

        def model(model: OwnerModel) -> None:
            model.forget_unbegun(model.current(model.runtimes[name], run_id), places)

        self.write("A", "forget unbegun", (change,), model, (name, which))

    @rule(
        name=names,
        place=st.sampled_from(("main/1", "main/2")),
        who=st.sampled_from(("run", "person", "nobody")),
        ran=st.booleans(),
        which=tokens,
        likely=mostly,
    )
    def settle(self, name: str, place: str, who: str, which: str, *, ran: bool, likely: bool) -> None:
        if likely:
            self.record(name, place, entries.EntryStatus.DISPATCHED, entries.Repeat.NEVER, "right", right=True)
        runtime_id, run_id = LogicalRuntimeId(name), self.run_of(name)
        if who != "run":
            doubt = entries.DoubtEntries(runtime_id=runtime_id, run_id=run_id)
            hold = Hold(runtime_id=runtime_id, reason="needs attention")

            def raise_doubt(model: OwnerModel) -> Any:
                runtime = model.runtimes[name]
                run = model.current(runtime, run_id)
                runtime.held = "needs attention"
                return None, model.doubt(runtime, run)

            self.write("A", "doubt", (hold, doubt), raise_doubt, (name, "right"))
        if who == "nobody":
            return
        says = run_id if who == "run" else None
        change = entries.SettleEntry(runtime_id=runtime_id, run_id=says, place=place, ran=ran, result=b"9")
        result = b"9" if ran else None
        self.write(
            "A",
            f"settle by {who}",
            (change,),
            lambda model: model.settle(model.runtimes[name], says, place, result),
            (name, which),
        )
        self.hold(name, None, which)

    # Output

    @rule(
        name=names,
        words=st.lists(st.sampled_from((b'"a"', b'"b"')), min_size=1, max_size=3).map(tuple),
        again=st.sampled_from((0, 0, 0, 1, 2, 5)),
        anew=seldom,
        right=mostly,
        which=tokens,
    )
    def say(self, name: str, words: tuple[bytes, ...], again: int, which: str, *, anew: bool, right: bool) -> None:
        """Say some words, also some of the last ones again: an execution sends what it has not heard of. Or as another one."""
        run_id = self.run_of(name, right=right)
        runtime = self.model.runtimes.get(name, Runtime())
        run = runtime.runs.get(run_id, Run(run_id=run_id, seen=Seen(())))
        if anew and not self.waiting:
            run.speech, run.said = run.speech + 1, 0  # no commit knows of it yet
        last = [word for chunk in runtime.output if chunk.speech == f"{run_id} {run.speech}" for word in chunk.words]
        known = [word for word in last if word != b"begun"][-again:] if again else []
        start = run.said - len(known)
        change = output.AppendOutput(
            runtime_id=LogicalRuntimeId(name),
            run_id=run_id,
            speech=f"{run_id} {run.speech}",
            attempt=1,
            start=start,
            entries=tuple([word_of(each) for each in (*known, *words)]),
        )

        def model(model: OwnerModel) -> int:
            runtime = model.runtimes[name]
            return model.say(runtime, model.current(runtime, run_id), start, (*known, *words))

        self.write("A", "say", (change,), model, (name, which))

    @rule(place=st.integers(0, 5), name=names, host=st.sampled_from("AB"))
    def prune_output(self, name: str, place: int, host: str) -> None:
        self.flush(grouped=True)
        host = host if host in self.hosts.stores else "A"
        found = self.model.runtimes.get(name, Runtime()).output
        chunk = found[min(place, len(found) - 1)] if found else None
        keys = self.hosts.run(partial(self._keys_of, name))
        key = keys[min(place, len(keys) - 1)] if keys else 0
        change = output.PruneOutput(chunks=(key,), before=9e9)
        self.write(host, "prune output", (change,), lambda model: model.prune_output(chunk))

    async def _keys_of(self, name: str) -> list[int]:
        sql = "SELECT chunk FROM output_chunks JOIN runtimes USING (runtime) WHERE runtime_id = ? ORDER BY chunk"
        async with self.hosts.stores["A"].read_connection() as connection:
            return [row[0] for row in await connection.query(sql, (name,))]

    # Requests

    @rule(name=names, which=tokens, answering=st.booleans())
    def request(self, name: str, which: str, *, answering: bool) -> None:
        runtime = self.model.runtimes.get(name)
        open_ones = [] if runtime is None else [each for each, answer in runtime.requests.items() if answer is None]
        owner = self.owner(name)
        if answering:
            request_id = open_ones[0] if open_ones else "no such request"
            change: Change = attrs.evolve(owner.answer(""), request_id=request_id)  # type: ignore[misc]
            self.write(
                "A", "answer", (change,), lambda model: model.answer(model.runtimes[name], request_id), (name, which)
            )
            return
        request_id = self.new("request")
        change = attrs.evolve(owner.ask(""), request_id=request_id)  # type: ignore[misc]
        self.write("A", "ask", (change,), lambda model: model.ask(name, request_id))

    @invariant()
    def few_wait(self) -> None:
        if hasattr(self, "hosts") and len(self.waiting) > 8:
            self.flush(grouped=True)


OwnerMachine.TestCase.settings = settings(max_examples=examples(80), stateful_step_count=40)
TestOwners = pytest.mark.slow(OwnerMachine.TestCase)
