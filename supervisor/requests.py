"""Requests: lifecycle verbs of runtimes that another process owns (design §4).

Whoever asks stores the verb and waits for the answer; the owner carries it out through its actor and stores the answer with
it. A runtime that nobody owns is taken over to carry the verb out, or, where this supervisor has no behaviour for it, changed
under its last token. Cases while somebody waits: the owner answers; the owner dies, and the request waits for the next one,
which may be this supervisor; the owner lets go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast, final

from attrs import evolve, frozen

from tenure.actors.decisions import decide
from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed, Corrupt, Error, Internal, InvalidInput, NotFound, StaleFence, StoreBroken
from tenure.persistence.codec import decode, encode
from tenure.persistence.commits import Change, Commit
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets import ownership, requests
from tenure.persistence.facets.lifecycle import Hold
from tenure.persistence.facets.ownership import ReleaseOwnership, RenewToken
from tenure.persistence.facets.requests import FinishRequest, RequestLifecycle, StoredRequest
from tenure.persistence.facets.runs import DropRun
from tenure.persistence.lifecycle import LifecycleEvent, Standing
from tenure.persistence.values import LogicalRuntimeId

if TYPE_CHECKING:
    from .supervisor import Supervisor

EVENTS: Final = frozenset(
    {
        LifecycleEvent.RETIRE,
        LifecycleEvent.RESET,
        LifecycleEvent.STOP,
        LifecycleEvent.RECYCLE,
        LifecycleEvent.DESTROY,
    }
)
"""Verbs that are lifecycle events; ``resume`` is the one that is none."""

RESUME: Final = "resume"


@final
@frozen(kw_only=True, slots=True)
class _Asked:
    """How a request stands.

    Attributes:
        answer: What came of it, as JSON, or None.
        holding: Whose the runtime is.
    """

    answer: str | None
    holding: ownership.Holding


@final
class Requests:
    """Asks owners elsewhere, and carries out what they are asked here."""

    def __init__(self, supervisor: Supervisor) -> None:
        """Ask nothing yet."""
        self._supervisor = supervisor
        self._store = supervisor.store
        self._busy: set[str] = set()

    # Asking

    async def ask(self, runtime_id: LogicalRuntimeId, verb: str, arguments: dict[str, Any]) -> None:
        """Have a verb carried out by whoever owns the runtime; durable when this returns.

        Raises:
            NotFound: No such runtime.
            Error: What the verb raises at its owner.

        Cancellation: a request that is stored will be carried out; before, nothing happened.
        """
        request = StoredRequest(
            request_id=self._store.seams.new_id(),
            runtime_id=runtime_id,
            verb=verb,
            arguments=encode(arguments, "arguments").decode(),
        )
        stored = False
        handled: int | None = -1  # the owner that was dealt with; a look is repeated only where it has changed
        while True:
            asked = await self._supervisor.watch.wait_for(partial(_changed, request, handled))
            if asked.answer is not None:
                return _give(asked.answer)
            handled = asked.holding.owner
            if self._supervisor.owns(runtime_id):
                if not stored:
                    return await self._perform(self._supervisor.actor(self._supervisor.facts(runtime_id)), request)
            elif asked.holding.owner is not None:
                if not stored:
                    stored = True
                    await self._store.commit(Commit(changes=(_stored(request),)))
            elif not await self._take_over(asked.holding.kind, runtime_id):
                if await self._change_unowned(request, asked.holding, stored=stored):
                    return None
                handled = -1
            else:
                handled = -1
                self._supervisor.watch.stir()

    async def _take_over(self, kind: str | None, runtime_id: LogicalRuntimeId) -> bool:
        if kind is None or kind not in self._supervisor.behaviours:
            return False
        await self._supervisor.take_over_quietly(runtime_id, kind)
        return self._supervisor.owns(runtime_id)

    async def _change_unowned(self, request: StoredRequest, holding: ownership.Holding, *, stored: bool) -> bool:
        """Change a runtime that nobody owns. False where somebody was faster."""
        runtime_id = request.runtime_id
        changes: list[Change] = [*_changes(request, Standing(state=holding.state), self._store.seams.new_id())]
        if not any(isinstance(change, RenewToken) for change in changes):
            # A frozen host that wakes may still hold the last token: what it knows is old from now on.
            changes.append(RenewToken(runtime_id=runtime_id))
        changes.append(ReleaseOwnership(runtime_id=runtime_id))
        if stored:
            changes.append(_done(request))
        commit = Commit(runtime_id=runtime_id, fence_token=holding.fence_token, changes=tuple(changes))
        try:
            await self._store.commit(commit)
        except StaleFence:
            return False
        return True

    # Carrying out

    def carry_out(self, request: StoredRequest) -> None:
        """Carry out a stored request for a runtime of this supervisor, unless that is being done already."""
        if request.request_id not in self._busy and self._supervisor.owns(request.runtime_id):
            self._busy.add(request.request_id)
            self._supervisor.start_soon(partial(self._carry_out, request))

    async def _carry_out(self, request: StoredRequest) -> None:
        try:
            actor = self._supervisor.actor(self._supervisor.facts(request.runtime_id))
            try:
                await self._perform(actor, request, _done(request))
            except (Closed, StaleFence, StoreBroken):
                raise
            except Error as exc:
                await actor.commit(evolve(_done(request), answer=_encode_error(exc)))
        except (Closed, StaleFence, NotFound):
            return  # the runtime is another host's now, and so is the request; or it was answered in between
        finally:
            self._busy.discard(request.request_id)

    async def _perform(self, actor: RuntimeActor, request: StoredRequest, *also: Change) -> None:
        if request.verb == RESUME:
            drop = _drop(request)
            await actor.hold(None, None, *drop, *also)
        else:
            await actor.apply(_event(request), *also)


def _changed(request: StoredRequest, handled: int | None, statements: Statements) -> _Asked | None:
    holding = ownership.find_holding(statements, request.runtime_id)
    if holding is None:
        raise NotFound(what="runtime", key=request.runtime_id)
    answer = requests.find_answer(statements, request.request_id)
    return _Asked(answer=answer, holding=holding) if answer is not None or holding.owner != handled else None


def _changes(request: StoredRequest, standing: Standing, epoch: str) -> tuple[Change, ...]:
    if request.verb == RESUME:
        return (*_drop(request), Hold(runtime_id=request.runtime_id, reason=None))
    decision = decide(request.runtime_id, standing, _event(request), epoch)
    return () if decision is None else decision.changes


def _event(request: StoredRequest) -> LifecycleEvent:
    if request.verb not in EVENTS:
        raise InvalidInput(detail=f"no lifecycle verb: {request.verb!r}", field="verb")
    return LifecycleEvent(request.verb)


def _drop(request: StoredRequest) -> tuple[Change, ...]:
    arguments = _object(request.arguments, request.request_id)
    return (DropRun(runtime_id=request.runtime_id, reason=None),) if arguments.get("restart_run") else ()


def _stored(request: StoredRequest) -> RequestLifecycle:
    return RequestLifecycle(
        runtime_id=request.runtime_id,
        request_id=request.request_id,
        verb=request.verb,
        arguments=request.arguments,
    )


def _done(request: StoredRequest) -> FinishRequest:
    return FinishRequest(runtime_id=request.runtime_id, request_id=request.request_id, answer="{}")


def _encode_error(error: Error) -> str:
    return encode({"error": type(error).__name__, "fields": error.fields}, "answer").decode()


def _give(answer: str) -> None:
    """Raise the error that an answer tells of, if it does."""
    told = _object(answer, "answer")
    if "error" in told:
        kind = _find_class(told["error"], Error)
        try:
            error = Internal(detail=answer) if kind is None else kind(**told["fields"])
        except (KeyError, TypeError) as exc:
            raise Corrupt(record="request", key="answer", detail="it tells of no error that there is") from exc
        raise error


def _object(text: str, key: str) -> dict[str, Any]:
    found = decode(text.encode(), "request", key)
    if not isinstance(found, dict):
        raise Corrupt(record="request", key=key, detail="it is no JSON object")
    return cast("dict[str, Any]", found)


def _find_class(name: str, below: type[Error]) -> Callable[..., Error] | None:
    for kind in below.__subclasses__():
        found = kind if kind.__name__ == name else _find_class(name, kind)
        if found is not None:
            return found
    return None
