"""Owners, inboxes, runs, entries, sends, dead letters and requests as plain values: the oracle of the second state machine."""

from __future__ import annotations

from typing import Any

import attrs

from tenure.errors import (
    ContinuityViolation,
    IdempotencyConflict,
    InboxFull,
    InvalidTransition,
    KindMismatch,
    LimitReached,
    NotAccepting,
    NotFound,
    RuntimeDestroyed,
    RuntimeOwned,
    StaleFence,
    StateConflict,
)
from tenure.persistence.model.conversation.paths import RunPath
from tenure.persistence.model.labels import Labels
from tests.persistence.contracts.owners.talk_model import Seen, Talk
from tests.persistence.contracts.runtimes.model import Refused

INBOX = 5
SAID = 8
TRIMMED = 8
DELAYED = 3
LATE = "deadline_exceeded"
MAX_CRASHES = 2


@attrs.define
class Input:
    """One input, in admission order of its inbox."""

    input_id: str
    payload: bytes
    key: str | None = None
    lane: str = "queue"
    phase: str = "queued"
    reason: str | None = None
    attempts: int = 0
    run: str | None = None
    joined: int | None = None
    boundary: int | None = None
    pruned: bool = False
    deadline: float | None = None
    due: float | None = None
    created: float = 0.0

    @property
    def unfinished(self) -> bool:
        return self.phase in {"accepted", "queued", "staged"}


@attrs.define
class Chunk:
    """What one commit has of the output of one run; `total`: how much the runtime had said up to its end."""

    key: int
    run: str
    speech: str
    number: int
    words: tuple[bytes, ...]
    total: int


@attrs.define
class Run:
    """One run with what it recorded."""

    run_id: str
    seen: Seen
    attempts: int = 0
    boundaries: int = 0
    outcome: str | None = None
    reopened: float | None = None
    ways: set[str] = attrs.field(factory=set[str])
    entries: dict[str, tuple[str, bytes | None, str]] = attrs.field(factory=dict[Any, Any])
    sends: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    spoke: bool = False
    speech: int = 0
    said: int = 0


@attrs.define
class Runtime:
    """Everything of one runtime."""

    kind: str = "k"
    state: str = "idle"
    token: int = 0
    generation: int = 0
    owner: str | None = None
    held: str | None = None
    crashes: int = 0
    run: str | None = None
    inputs: list[Input] = attrs.field(factory=list[Input])
    runs: dict[str, Run] = attrs.field(factory=dict[str, Run])
    talk: Talk = attrs.field(factory=Talk)
    attached: dict[str, bool] = attrs.field(factory=dict[str, bool])
    requests: dict[str, str | None] = attrs.field(factory=dict[str, Any])
    kept: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    revision: int = 0
    labels: dict[str, str] = attrs.field(factory=dict[str, str])
    relabelled: int = 0
    output: list[Chunk] = attrs.field(factory=list[Chunk])

    def find(self, input_id: str) -> Input | None:
        return next((each for each in self.inputs if each.input_id == input_id), None)

    def open(self) -> list[Input]:
        return [each for each in self.inputs if each.unfinished]

    def inbox(self) -> list[Input]:
        return [each for each in self.inputs if each.phase in {"queued", "staged"}]

    def delayed(self) -> list[Input]:
        return [each for each in self.inputs if each.phase == "accepted"]

    def batch(self, run: str | None) -> list[Input]:
        return [each for each in self.inputs if run is not None and each.run == run]

    def staged(self) -> list[Input]:
        return [each for each in self.inputs if each.phase == "staged"]

    def abandon(self, given: list[Input], reason: str) -> tuple[str, ...]:
        for each in given:
            each.phase, each.reason = "abandoned", reason
        return tuple(each.input_id for each in given)

    def unstage(self) -> None:
        for each in self.staged():
            each.phase = "queued"


class OwnerModel:
    """What owners write. A refused change changes nothing: callers work on a copy."""

    def __init__(self) -> None:
        self.runtimes: dict[str, Runtime] = {}
        self.last_token = 0
        self.lost: set[str] = set()
        self.now = 1_000.0
        self.holds: dict[tuple[str | None, str | None], float] = {}
        self.chunks = 0

    def mint(self) -> int:
        self.last_token += 1
        return self.last_token

    def known(self, name: str) -> Runtime:
        if name not in self.runtimes:
            raise Refused(NotFound)
        return self.runtimes[name]

    def guarded(self, name: str, token: int | None) -> Runtime:
        """What the fence says, before anything else."""
        runtime = self.known(name)
        if token == runtime.token or (token is None and runtime.owner is None):
            return runtime
        if token is not None or runtime.owner not in self.lost:
            raise Refused(StaleFence)
        runtime.owner, runtime.token = None, self.mint()
        return runtime

    def current(self, runtime: Runtime, run_id: str) -> Run:
        if runtime.run != run_id:
            raise Refused(InvalidTransition)
        return runtime.runs[run_id]

    # Owners and lives

    def own(self, name: str, host: str, *, revive: bool, labels: Labels = ()) -> Any:
        runtime = self.runtimes.get(name)
        if runtime is None:
            runtime = self.runtimes[name] = Runtime(labels=dict(labels), relabelled=int(bool(labels)))
        if runtime.state == "destroyed":
            raise Refused(RuntimeDestroyed)
        if runtime.kind != "k":
            raise Refused(KindMismatch)
        if runtime.owner not in {None, host} and runtime.owner not in self.lost:
            raise Refused(RuntimeOwned)
        in_flight = bool(runtime.staged())
        if in_flight and runtime.owner not in {None, host}:
            self.charge(runtime)
        runtime.unstage()
        if runtime.state == "stopped" and revive:
            runtime.state = "idle"
        runtime.owner, runtime.token = host, self.mint()
        has_work = runtime.run is not None or bool(runtime.inbox())
        return runtime.state, runtime.generation, runtime.token, runtime.held, has_work, in_flight, runtime.crashes

    def charge(self, runtime: Runtime) -> int:
        runtime.crashes += 1
        if runtime.crashes >= MAX_CRASHES and runtime.held is None:
            runtime.held = "crash loop"
        return runtime.crashes

    def lifecycle(self, runtime: Runtime, state: str, reason: str | None) -> Any:
        abandoned = () if reason is None else runtime.abandon(runtime.open(), reason)
        if state == "retired":
            late = sorted(
                (each for each in runtime.delayed() if (each.due or 0.0) > self.now), key=lambda each: each.due or 0.0
            )
            abandoned = runtime.abandon(late, "retired")
        if reason is not None and runtime.run is not None:
            runtime.runs[runtime.run].outcome = reason
            runtime.run = None
        if reason == "reset":
            runtime.generation, runtime.crashes = runtime.generation + 1, 0
        runtime.state = state
        if state == "destroyed":
            runtime.owner = None
        return runtime.generation, abandoned

    def relabel(self, runtime: Runtime, name: str, value: str | None) -> Any:
        if runtime.state == "destroyed":
            raise Refused(RuntimeDestroyed)
        before = dict(runtime.labels)
        if value is None:
            runtime.labels.pop(name, None)
        else:
            runtime.labels[name] = value
        runtime.relabelled += runtime.labels != before
        return runtime.relabelled, tuple(sorted(runtime.labels.items()))

    # Inboxes

    def accept(self, name: str, new: Input, *, bound: bool = True, kind: str | None = None, labels: Labels = ()) -> Any:
        made = None if kind is None else Runtime(kind=kind, labels=dict(labels), relabelled=int(bool(labels)))
        if made is not None and made.kind != self.runtimes.setdefault(name, made).kind:
            raise Refused(KindMismatch)
        runtime = self.known(name)
        if runtime.state == "destroyed":
            raise Refused(RuntimeDestroyed)
        known = next((each for each in runtime.inputs if new.key is not None and each.key == new.key), None)
        if known is not None and known.payload != new.payload:
            raise Refused(IdempotencyConflict)
        if known is not None:
            return known.input_id, known.phase, known.reason, True
        if runtime.state != "idle":
            raise Refused(NotAccepting)
        if new.due is not None and len(runtime.delayed()) >= DELAYED:
            raise Refused(LimitReached)
        if new.due is None and bound and len(runtime.inbox()) >= INBOX:
            raise Refused(InboxFull)
        new.phase = "queued" if new.due is None else "accepted"
        runtime.inputs.append(new)
        return new.input_id, new.phase, None, False

    def queue_due(self, name: str, host: str) -> tuple[str, ...]:
        runtime = self.known(name)
        elsewhere = runtime.owner not in {None, host} and runtime.owner not in self.lost
        if elsewhere or runtime.state == "destroyed" or self.of_it(name):
            return ()
        due = sorted(
            (each for each in runtime.delayed() if (each.due or 0.0) <= self.now), key=lambda each: each.due or 0.0
        )
        for each in due:
            each.phase, each.due = "queued", None
            runtime.inputs.remove(each)
            runtime.inputs.append(each)
        return tuple(each.input_id for each in due)

    def cancel(self, runtime: Runtime, input_id: str) -> bool:
        found = runtime.find(input_id)
        if found is None or not found.unfinished or found.run is not None:
            return False
        runtime.abandon([found], "cancelled")
        return True

    def cancel_with_run(self, runtime: Runtime, input_id: str) -> tuple[tuple[str, ...], bool]:
        if self.cancel(runtime, input_id):
            return (input_id,), False
        found = runtime.find(input_id)
        if found is None or not found.unfinished or runtime.run is None or found.run != runtime.run:
            return (), False
        return self.drop_run(runtime, "cancelled"), True

    def retry(self, runtime: Runtime, input_id: str, *, fresh: bool) -> tuple[str, ...]:
        sent = self.refused_send(runtime, input_id)
        if sent is not None:
            run_id, send = sent
            accepted = self.accept_send(run_id, send)
            send.update(refused=False, payload=None)
            return (accepted,)
        if runtime.state != "idle":
            raise Refused(RuntimeDestroyed if runtime.state == "destroyed" else NotAccepting)
        return self.retry_input(runtime, self.dead(runtime, input_id), fresh=fresh)

    def retry_input(self, runtime: Runtime, found: Input, *, fresh: bool) -> tuple[str, ...]:
        if found.reason == "destroyed":
            raise Refused(InvalidTransition)
        together = found.run is not None and found.reason != "rejected"
        run = None if found.run is None else runtime.runs[found.run]
        again = run is not None and together and run.outcome != "finished"
        batch = [found]
        if together:
            batch = [
                each
                for each in runtime.batch(found.run)
                if (each.phase, each.reason, each.pruned) == ("abandoned", found.reason, False)
            ]
        if again and run is not None:
            run.attempts = 0
            run.ways |= {"restart"} if fresh else set[str]()
            if run.run_id != runtime.run:
                run.reopened, run.outcome = self.now, None
        for each in batch:
            each.phase, each.reason, each.attempts, each.deadline = "queued", None, 0, None
            each.due = None
            if not again:
                each.run = each.joined = None
        return tuple(each.input_id for each in batch)

    def refused_send(self, runtime: Runtime, input_id: str) -> tuple[str, dict[str, Any]] | None:
        for run in runtime.runs.values():
            for send in run.sends:
                if send["input_id"] == input_id and send["payload"] is not None:
                    return run.run_id, send
        return None

    def dead(self, runtime: Runtime, input_id: str) -> Input:
        found = runtime.find(input_id)
        if found is None or found.pruned:
            raise Refused(NotFound)
        if found.phase != "abandoned":
            raise Refused(InvalidTransition)
        return found

    def drop(self, runtime: Runtime, input_id: str) -> None:
        sent = self.refused_send(runtime, input_id)
        if sent is not None:
            sent[1]["payload"] = None
            return
        self.dead(runtime, input_id).pruned = True

    # Holds

    def place(self, name: str | None, kind: str | None) -> bool:
        if name in self.runtimes and self.runtimes[name].state == "destroyed":
            raise Refused(RuntimeDestroyed)
        new = (name, kind) not in self.holds
        self.holds.setdefault((name, kind), self.now)
        return new

    def end_hold(self, name: str | None, kind: str | None) -> bool:
        since = self.holds.pop((name, kind), None)
        for its_name, runtime in self.runtimes.items():
            if since is not None and (its_name == name or runtime.kind == kind):
                until = min(self.of_it(its_name), default=self.now)
                for each in runtime.open():
                    if each.deadline is not None:
                        begins = each.created if each.due is None else each.due
                        each.deadline += max(until - max(since, begins), 0.0)
        return since is not None

    def of_it(self, name: str) -> list[float]:
        found = (self.holds.get((name, None)), self.holds.get((None, self.runtimes[name].kind)))
        return [each for each in found if each is not None]

    # Deadlines

    def late(self, given: Input) -> bool:
        return given.deadline is not None and given.deadline <= self.now

    def expire(self, name: str) -> tuple[str, ...]:
        runtime = self.known(name)
        if self.of_it(name):
            return ()
        return runtime.abandon([each for each in runtime.inbox() if self.late(each) and each.run is None], LATE)

    def expire_members(self, name: str, run_id: str, *, ends: bool) -> tuple[str, ...]:
        runtime = self.runtimes[name]
        run = self.current(runtime, run_id)
        if self.of_it(name):
            return ()
        left = [each for each in runtime.batch(run.run_id) if each.unfinished]
        if not ends and all(map(self.late, left)):
            return ()
        return runtime.abandon([each for each in left if self.late(each)], LATE)

    def drop_late(self, name: str) -> tuple[str, ...]:
        runtime = self.runtimes[name]
        if self.of_it(name):
            return ()
        left = [each for each in runtime.batch(runtime.run) if each.unfinished]
        if not left or not all(map(self.late, left)):
            return ()
        dropped: tuple[str, ...] = self.drop_run(runtime, LATE)
        return dropped

    # Runs

    def begin(self, name: str, run_id: str, count: int) -> Any:
        runtime = self.runtimes[name]
        if runtime.held is not None or self.of_it(name):
            return None
        if runtime.run is None:
            reopened = self.reopened(runtime)
            if reopened:
                reopened[0].reopened = None
                runtime.run = reopened[0].run_id
        again = True
        if runtime.run is not None and "restart" in runtime.runs[runtime.run].ways:
            again = self.restart(runtime, runtime.runs[runtime.run], run_id)
        if runtime.run is not None:
            for each in runtime.batch(runtime.run):
                each.phase = "staged" if each.phase == "queued" else each.phase
            return self.begun(runtime, again=again, more=bool(self.waiting(runtime)) or bool(self.reopened(runtime)))
        waiting = self.waiting(runtime)
        if not waiting:
            return None
        batch = [each for each in waiting if each.lane == "queue"][:count] or waiting[:count]
        runtime.runs[run_id] = Run(run_id=run_id, seen=Seen(runtime.talk.path))
        runtime.run = run_id
        for each in batch:
            each.phase, each.run = "staged", run_id
        return self.begun(runtime, again=False, more=len(waiting) > len(batch))

    def restart(self, runtime: Runtime, old: Run, run_id: str) -> bool:
        """Put a new run in the place of an old one; whether anything was carried over."""
        runtime.talk.go_back(old.seen)
        left = [each for each in runtime.batch(old.run_id) if each.unfinished]
        old.outcome, runtime.run, runtime.crashes = "restarted", None, 0
        if not left:
            return False
        new = runtime.runs[run_id] = Run(run_id=run_id, seen=Seen(runtime.talk.path))
        runtime.run = run_id
        for each in left:
            each.run, each.joined = (run_id, None) if each.joined is None else (None, None)
        if "repeat never" not in old.ways:
            for place, (status, result, repeat) in list(old.entries.items()):
                if repeat != "freely" or place.lstrip("^").startswith(
                    "send/"
                ):  # those that a restart before took along
                    new.entries[f"^{place}"] = (status, result, repeat)
                    del old.entries[place]
            for send in old.sends:
                if not send["refused"] or send["payload"] is not None:
                    new.entries[f"^send/{send['index']}"] = ("succeeded", None, "freely")
        return bool(new.entries)

    def waiting(self, runtime: Runtime) -> list[Input]:
        return [each for each in runtime.open() if each.phase == "queued" and each.run is None and not self.late(each)]

    def reopened(self, runtime: Runtime) -> list[Run]:
        waiting = [run for run in runtime.runs.values() if run.reopened is not None and self.waits(runtime, run)]
        return sorted(
            waiting, key=lambda run: run.reopened or 0.0
        )  # those of one time in the order in which they were made

    def waits(self, runtime: Runtime, run: Run) -> bool:
        return any(each.unfinished for each in runtime.batch(run.run_id))

    def begun(self, runtime: Runtime, *, again: bool, more: bool) -> Any:
        run = runtime.runs[runtime.run or ""]
        batch = tuple((each.input_id, each.phase, each.attempts, each.joined) for each in runtime.batch(run.run_id))
        return run.run_id, again, run.attempts, batch, len(run.seen.base), more

    def checkpoint(self, name: str, run: Run, messages: tuple[bytes, ...], sends: list[dict[str, Any]]) -> Any:
        runtime = self.runtimes[name]
        runtime.talk.append(run.seen, messages)
        for send in sends:
            try:
                self.accept_send(run.run_id, send)
            except Refused:
                run.sends.append({**send, "refused": True})
            else:
                run.sends.append({**send, "refused": False, "payload": None, "input_id": None})
        run.boundaries += 1
        return run.boundaries

    def move(self, name: str, run: Run, path: RunPath, count: int, messages: tuple[bytes, ...], *, hides: bool) -> Any:
        talk = self.runtimes[name].talk
        if not talk.can_move(run.seen, count):
            raise Refused(ContinuityViolation)
        talk.move(run.seen, path, messages, hides=hides)
        run.boundaries += 1
        return None, ...

    def attach(self, name: str, attachment_id: str) -> bool:
        runtime = self.runtimes[name]
        if runtime.state == "destroyed":
            raise Refused(RuntimeDestroyed)
        runtime.attached.setdefault(attachment_id, False)
        return True

    def forget(self, name: str, attachment_id: str) -> bool:
        runtime = self.runtimes.get(name)
        return runtime is not None and runtime.attached.pop(attachment_id, None) is not None

    def stamp(self, name: str, run: Run, attachment_ids: tuple[str, ...]) -> Any:
        attached = self.runtimes[name].attached
        fresh = [each for each in dict.fromkeys(attachment_ids) if attached.get(each) is False]
        attached.update(dict.fromkeys(fresh, True))
        run.boundaries += 1
        return len(fresh), ...

    def accept_send(self, run_id: str, send: dict[str, Any]) -> str:
        key = f"tenure:send:{run_id}:{send['index']}"
        new = Input(input_id=send["input_id"], payload=send["payload"], key=key)
        accepted: str = self.accept(send["target"], new, bound=False)[0]
        return accepted

    def steer(self, runtime: Runtime, run: Run) -> tuple[str, ...]:
        joining = [each for each in self.waiting(runtime) if each.lane == "steer"]
        for each in joining:
            each.phase, each.run, each.joined = "staged", run.run_id, run.boundaries
        return tuple(each.input_id for each in joining)

    def end_member(self, runtime: Runtime, run: Run, input_id: str, phase: str) -> Any:
        found = runtime.find(input_id)
        ready = {"staged"} if phase == "consumed" else {"staged", "queued"}
        if found is None or found.run != run.run_id or found.phase not in ready:
            raise Refused(NotFound)
        found.phase, found.reason = phase, "rejected" if phase == "abandoned" else None
        found.boundary = run.boundaries if phase == "consumed" else None
        return input_id, phase

    def finish(self, runtime: Runtime, run: Run, unseen: tuple[str, ...] = ()) -> tuple[str, ...]:
        run.boundaries += 1
        for each in runtime.batch(run.run_id):
            if each.input_id in unseen and each.phase == "staged" and each.joined is not None:
                each.phase, each.run, each.joined = "queued", None, None
        consumed = [each for each in runtime.batch(run.run_id) if each.phase == "staged"]
        for each in consumed:
            each.phase, each.boundary = "consumed", run.boundaries
        run.outcome, runtime.run, runtime.crashes = "finished", None, 0
        return tuple(each.input_id for each in consumed)

    def go_on(self, name: str, run: Run, after: str, input_id: str) -> Any:
        runtime = self.runtimes[name]
        new = Input(input_id=input_id, payload=b'"on"', key=f"tenure:again:{run.run_id}")
        known = next((each for each in runtime.inputs if each.key == new.key), None)
        if known is None:
            runtime.inputs.append(new)
        new.run = runtime.run = after
        runtime.runs[after] = Run(run_id=after, seen=Seen(runtime.talk.path))
        return new.input_id, "queued", None, False

    def fail(self, runtime: Runtime, run: Run, *, last: bool, held: str | None) -> tuple[str, ...]:
        run.attempts += 1
        runtime.held, runtime.crashes = held, 0
        batch = [each for each in runtime.batch(run.run_id) if each.unfinished]
        if not last:
            for each in batch:
                if each.phase == "staged":
                    each.phase, each.attempts = "queued", each.attempts + 1
            return ()
        for each in batch:
            each.attempts += 1
        run.outcome, runtime.run = "failed", None
        return runtime.abandon(batch, "max_attempts_exhausted")

    def drop_run(self, runtime: Runtime, reason: str | None) -> tuple[str, ...]:
        if runtime.run is None:
            return ()
        run, abandoned = runtime.runs[runtime.run], ()
        batch = [each for each in runtime.batch(run.run_id) if each.unfinished]
        if reason is None:
            runtime.unstage()
            for each in batch:
                each.run = each.joined = None
        else:
            abandoned = runtime.abandon(batch, reason)
        run.outcome, runtime.run, runtime.crashes = reason or "restarted", None, 0
        return abandoned

    def doubt(self, runtime: Runtime, run: Run) -> tuple[tuple[str, str], ...]:
        doubtful = [
            place
            for place, (status, _, repeat) in run.entries.items()
            if status in {"dispatched", "in_doubt"} and repeat == "never"
        ]
        for place in doubtful:
            run.entries[place] = ("in_doubt", *run.entries[place][1:])
        return tuple((place, "pay") for place in doubtful)

    def settle(self, runtime: Runtime, run_id: str | None, place: str, result: bytes | None) -> None:
        if run_id is not None:
            self.current(runtime, run_id)
        elif runtime.held is None:
            raise Refused(NotFound)
        run = None if runtime.run is None else runtime.runs[runtime.run]
        status, _, repeat = ("", None, "") if run is None else run.entries.get(place, ("", None, ""))
        if run is None or status not in {"in_doubt", "dispatched"} or repeat != "never":
            raise Refused(NotFound)
        if result is None:
            del run.entries[place]
        else:
            run.entries[place] = ("succeeded", result, run.entries[place][2])

    def forget_unbegun(self, run: Run, places: tuple[str, ...]) -> None:
        for place in places:
            if run.entries.get(place, ("",))[::2] == ("dispatched", "never"):
                del run.entries[place]

    # Output

    def say(self, runtime: Runtime, run: Run, start: int, words: tuple[bytes, ...]) -> int:
        """What is there already is left out; the first word of a run stands after one that says that it has begun."""
        new = words[max(run.said - start, 0) :]
        if new:
            begun = () if run.spoke else (b"begun",)
            run.spoke, run.said = True, start + len(words)
            self.write_chunk(runtime, run, f"{run.run_id} {run.speech}", run.said, (*begun, *new))
        return start + len(words)

    def write_chunk(self, runtime: Runtime, run: Run, speech: str, number: int, words: tuple[bytes, ...]) -> None:
        self.chunks += 1
        before = runtime.output[-1].total if runtime.output else 0
        runtime.output.append(Chunk(self.chunks, run.run_id, speech, number, words, before + len(words)))
        total = runtime.output[-1].total
        if sum(len(each.words) for each in runtime.output) <= SAID:
            return
        for _ in runtime.output[: min(TRIMMED, len(runtime.output) - 1)]:
            if total - runtime.output[0].total < SAID:
                return
            del runtime.output[0]

    def end_speeches(self, before: OwnerModel) -> None:
        """Runs that have ended since then, and had said something, say so."""
        for name, runtime in self.runtimes.items():
            known = before.runtimes[name].runs if name in before.runtimes else {}
            for run in runtime.runs.values():
                if run.outcome is not None and (run.run_id not in known or known[run.run_id].outcome is None):
                    if run.spoke:
                        self.write_chunk(runtime, run, "", 0, (b'"%s"' % run.outcome.encode(),))
                    run.speech, run.said = run.speech + 1, 0

    def prune_output(self, chunk: Chunk | None) -> int:
        """The first of its runtime goes, unless its run goes on, or it is the newest of all."""
        for runtime in self.runtimes.values():
            if runtime.output and chunk is not None and runtime.output[0].key == chunk.key != self.chunks:
                run = runtime.runs[chunk.run]
                if run.outcome is not None:
                    return len(runtime.output.pop(0).words)
        return 0

    # Requests

    def keep(self, runtime: Runtime, name: str, value: bytes | None, wanted: int | None) -> int:
        if runtime.state == "destroyed":
            raise Refused(RuntimeDestroyed)
        if wanted not in (None, runtime.revision):
            raise Refused(StateConflict)
        runtime.revision += 1
        runtime.kept.pop(name, None)
        if value is not None:
            runtime.kept[name] = value
        return runtime.revision

    def ask(self, name: str, request: str) -> None:
        runtime = self.known(name)
        if runtime.state == "destroyed":
            raise Refused(RuntimeDestroyed)
        runtime.requests[request] = None

    def answer(self, runtime: Runtime, request: str) -> None:
        if runtime.requests.get(request, "") is not None:
            raise Refused(NotFound)
        runtime.requests[request] = "{}"
