"""A run, as its behaviour sees it.

A run that enters again starts from its top. What it recorded is replayed: a step gives its stored result, a checkpoint whose
receipt exists writes nothing and compares what was appended and sent before it. So a behaviour must do the same things in the
same order between its steps; where it does not, `StepMismatch` holds the runtime before anything is done twice (design §7).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, final

from attrs import frozen

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import RunEnded, StepMismatch
from tenure.persistence.codec import decode, digest, encode
from tenure.persistence.commits import Change, CommitResult
from tenure.persistence.facets.receipts import MintReceipt
from tenure.persistence.facets.runs import FinishRun, RunBegun
from tenure.persistence.facets.sends import Send
from tenure.persistence.facets.sessions import AppendMessages, path_to
from tenure.persistence.facets.steps import Repeat
from tenure.persistence.group import Outcome
from tenure.persistence.store import Store
from tenure.persistence.values import (
    InputId,
    InputKind,
    LogicalRuntimeId,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RunId,
    check_runtime_id,
)

from .journal import Journal
from .steps import Steps

T = TypeVar("T")


@final
@frozen(kw_only=True, slots=True)
class RunInput:
    """One member of a run's batch.

    Attributes:
        input_id: Which input.
        kind: ``external_event`` for an accept, ``peer_message`` for a send.
        payload: Decoded.
        source: Where it came from, e.g. ``{"type": "peer", "runtime_id": ...}``.
        idempotency_key: Its key, or None.
        attempts: How many runs over it failed.
    """

    input_id: InputId
    kind: InputKind
    payload: Any
    source: Any
    idempotency_key: str | None
    attempts: int


@final
class RunSession:
    """The conversation of a run: what stood when the run began, and what the run appends."""

    def __init__(self, store: Store, begun: RunBegun) -> None:
        """Made by `Run`."""
        self._store = store
        self._base = begun.base
        self._base_count = begun.base_count
        self.appended: list[bytes] = []
        self.landed = 0

    @property
    def count(self) -> int:
        """Messages on the path, with those that this run appended so far."""
        return self._base_count + len(self.appended)

    def append(self, message: object) -> None:
        """Append a message: bytes as they are, anything else as JSON. It lands with the next boundary of the run.

        Raises:
            InvalidInput: The message has no JSON form.
        """
        self.appended.append(message if isinstance(message, bytes) else encode(message, "message"))

    async def raw_messages(self) -> list[bytes]:
        """The path as bytes, first to last, with what this run appended. Reads the whole conversation."""
        return [*await self._store.read(lambda statements: path_to(statements, self._base)), *self.appended]

    async def messages(self) -> list[Any]:
        """The path decoded, first to last, with what this run appended. Reads the whole conversation.

        Raises:
            Corrupt: A message is no JSON.
        """
        return [decode(message, "message", str(at)) for at, message in enumerate(await self.raw_messages(), 1)]


@final
class Run:
    """One execution of a behaviour over its batch. Good until the behaviour ends; afterwards `RunEnded`.

    Attributes:
        runtime_id: Which runtime.
        run_id: The same over all attempts and crashes.
        fence_token: For tools that can refuse a stale one.
        generation: Which life of the runtime.
        inputs: Always exactly this batch, in admission order.
        session: The conversation.
        attempts: Failed attempts of this run so far.
    """

    def __init__(
        self,
        store: Store,
        actor: RuntimeActor,
        begun: RunBegun,
        journal: Journal,
        steps: Steps,
        on_checkpoint: Callable[[Outcome], None],
    ) -> None:
        """Made by the supervisor; `on_checkpoint` hears of each checkpoint that has landed."""
        self.runtime_id = actor.runtime_id
        self.run_id: RunId = begun.run_id
        self.fence_token = actor.channel.fence_token
        self.generation = actor.generation
        self.attempts = begun.attempts
        self.inputs = tuple(_run_input(each) for each in begun.inputs)
        self.session = RunSession(store, begun)
        self._store = store
        self._actor = actor
        self._journal = journal
        self._steps = steps
        self._on_checkpoint = on_checkpoint
        self._sends: list[tuple[LogicalRuntimeId, bytes]] = []
        self._sends_landed = 0
        self._boundaries = 0
        self._ended = False

    async def step(
        self, name: str, function: Callable[..., Awaitable[T] | T], *arguments: object, repeat: Repeat | str
    ) -> T:
        """Do a piece of work whose result is on disk before it is seen.

        The n-th use of a name in a run is one step: once recorded, its result is given back without calling `function`.
        Arguments and result are JSON values; what is given back has always gone through JSON.

        Args:
            name: Name of the step.
            function: Async, or sync and then run in a worker thread.
            *arguments: Given to `function`; their digest is compared with the recorded one.
            repeat: ``freely``: may run again when nobody knows whether it ran. ``keyed``: may too, and gets a keyword
                ``key``, always the same, to pass on. ``never``: its dispatch is on disk before it runs.

        Raises:
            StepMismatch: The record has other arguments; the run is not deterministic. Holds the runtime.
            InvalidInput: Arguments or result have no JSON form.
            RunEnded: The run is over.

        Cancellation: a thread that runs on is not waited for and its result is dropped.
        """
        self._check_open()
        result: T = await self._steps.step(name, function, arguments, Repeat(repeat))
        return result

    def send(self, target: str, payload: object) -> None:
        """Send a message to another runtime. It lands with the next boundary of this run, once, whatever happens.

        A target that cannot take it then does not fail this run: the message becomes a dead letter of this runtime.

        Raises:
            InvalidInput: No runtime id, or no JSON form.
            RunEnded: The run is over.
        """
        self._check_open()
        self._sends.append((check_runtime_id(target), encode(payload, "payload")))

    async def checkpoint(self) -> RunBoundaryReceipt:
        """Commit what was appended and sent so far, and return the receipt. The inputs stay with the run.

        Raises:
            StepMismatch: What is replayed differs from what is stored. Holds the runtime.
            RunEnded: The run is over.
        """
        self._check_open()
        recorded = self._replay()
        if recorded is not None:
            return recorded
        result = await self._commit(RunApplyBoundary.RUN_CHECKPOINT, on_settled=self._on_checkpoint)
        receipt: RunBoundaryReceipt = result.values[-1]
        return receipt

    # The supervisor's

    async def finish(self, on_settled: Callable[[Outcome], None]) -> None:
        """Commit the end of the run: what was appended and sent, the receipt, the batch consumed."""
        if self._boundaries < len(self._journal.boundaries):
            raise StepMismatch(
                runtime_id=self.runtime_id,
                run_id=self.run_id,
                name=f"checkpoint {self._boundaries + 1}",
                recorded="a checkpoint",
                given="the end of the run",
            )
        finish = FinishRun(runtime_id=self.runtime_id, run_id=self.run_id)
        await self._commit(RunApplyBoundary.RUN_START, finish, on_settled=on_settled)

    def end(self) -> None:
        """From now on every use of this run is `RunEnded`."""
        self._ended = True

    # Inside

    def _check_open(self) -> None:
        if self._ended:
            raise RunEnded(run_id=self.run_id)

    def _replay(self) -> RunBoundaryReceipt | None:
        if self._boundaries >= len(self._journal.boundaries):
            return None
        recorded = self._journal.boundaries[self._boundaries]
        appended = tuple(self.session.appended[self.session.landed :])
        sent = tuple((target, digest(payload)) for target, payload in self._sends[self._sends_landed :])
        for what, stored, given in (("appended", recorded.appended, appended), ("sent", recorded.sent, sent)):
            if stored != given:
                raise StepMismatch(
                    runtime_id=self.runtime_id,
                    run_id=self.run_id,
                    name=f"checkpoint {self._boundaries + 1}",
                    recorded=f"{len(stored)} {what}",
                    given=f"{len(given)} {what}, not the same",
                )
        self._landed()
        return recorded.receipt

    async def _commit(
        self,
        boundary: RunApplyBoundary,
        *last: Change,
        on_settled: Callable[[Outcome], None] | None = None,
    ) -> CommitResult:
        changes: list[Change] = []
        messages = tuple(self.session.appended[self.session.landed :])
        if messages:
            changes.append(AppendMessages(runtime_id=self.runtime_id, messages=messages, run_id=self.run_id))
        for index, (target, payload) in enumerate(self._sends[self._sends_landed :], self._sends_landed + 1):
            changes.append(
                Send(
                    runtime_id=self.runtime_id,
                    run_id=self.run_id,
                    index=index,
                    target=target,
                    input_id=InputId(self._store.seams.new_id()),
                    payload=payload,
                    payload_digest=digest(payload),
                )
            )
        receipt = MintReceipt(
            runtime_id=self.runtime_id,
            run_id=self.run_id,
            boundary=boundary,
            contributing_input_ids=tuple(each.input_id for each in self.inputs),
        )
        result = await self._actor.channel.commit_in_turn(*changes, receipt, *last, on_settled=on_settled)
        self._landed()
        return result

    def _landed(self) -> None:
        self._boundaries += 1
        self.session.landed = len(self.session.appended)
        self._sends_landed = len(self._sends)


def _run_input(staged: Any) -> RunInput:
    return RunInput(
        input_id=staged.input_id,
        kind=staged.kind,
        payload=decode(staged.payload, "payload", staged.input_id),
        source=decode(staged.source.encode(), "source", staged.input_id),
        idempotency_key=staged.idempotency_key,
        attempts=staged.attempts,
    )
