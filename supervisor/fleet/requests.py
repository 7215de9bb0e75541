"""Requests: verbs of runtimes that another process owns (design §4).

The asking host stores the verb and waits for the answer; the owner carries it out through its actor and stores the answer with
it. A runtime that no host owns is taken over to carry the verb out, or, where this supervisor has no behaviour for it, changed
under its last token. Cases while the asking host waits: the owner answers; the owner dies, and the request waits for the next
one, which may be this supervisor; the owner lets go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, TypeVar, final

import trio
from attrs import define, frozen

from tenure.actors.facts import RuntimeFacts
from tenure.errors import (
    Closed,
    Contended,
    Corrupt,
    DiskFull,
    Error,
    Internal,
    InvalidInput,
    NoDescriptor,
    NotFound,
    NoThread,
    RuntimeDestroyed,
    StaleFence,
    StoreBroken,
)
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.ownership import (
    ownership,
    requests,
)
from tenure.persistence.facets.ownership.ownership import (
    MAX_CRASHES,
    ReleaseOwnership,
    RenewToken,
)
from tenure.persistence.facets.ownership.requests import (
    RequestLifecycle,
    StoredRequest,
)
from tenure.persistence.facets.runs.dead_letters import Retried
from tenure.persistence.model.codec import encode
from tenure.persistence.model.lifecycles.lifecycle import Standing
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RuntimeState,
)
from tenure.persistence.store import Store, erasures_of
from tenure.supervisor.accepting.doubts import Doubts
from tenure.supervisor.hosting.actors import Actors
from tenure.supervisor.hosting.mending import Mending
from tenure.supervisor.hosting.owned import Owned
from tenure.supervisor.hosting.takeovers import Takeovers
from tenure.supervisor.hosting.tasks import Tasks
from tenure.supervisor.runs.behaviour import Behaviour

from .news import News
from .stored_verbs import decode_object, read_verb, write_verb
from .verbs import (
    Apply,
    Doing,
    Done,
    Drop,
    Reread,
    Retry,
    Verb,
)

T = TypeVar("T")

RETRY_S: Final = 0.25
"""Seconds after which a host that has stored a request, and then found no room or no way to the file, tries again."""


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
@frozen(kw_only=True, slots=True)
class _Answered(Generic[T]):
    """A verb was carried out, with this answer."""

    answer: T


@final
@define(kw_only=True, slots=True)
class _Asking(Generic[T]):
    """A verb on its way to the host that owns the runtime.

    Attributes:
        verb: What is asked.
        request: The same as a request.
        stored: Whether the request is stored; then it will be carried out.
        handled: The owner that was dealt with; a look is repeated only where it has changed.
    """

    verb: Verb[T]
    request: StoredRequest
    stored: bool = False
    handled: int | None = -1


@final
class Requests:
    """Asks owners elsewhere, and carries out what they are asked here."""

    def __init__(
        self,
        *,
        store: Store,
        behaviours: Mapping[str, Behaviour],
        owned: Owned,
        actors: Actors,
        takeovers: Takeovers,
        news: News,
        doubts: Doubts,
        mending: Mending,
        tasks: Tasks,
    ) -> None:
        """Ask nothing yet."""
        self._store = store
        self._behaviours = behaviours
        self._owned = owned
        self._actors = actors
        self._takeovers = takeovers
        self._news = news
        self._doubts = doubts
        self._mending = mending
        self._tasks = tasks
        self._busy: set[str] = set()

    # Asking

    async def ask(self, runtime_id: LogicalRuntimeId, verb: Verb[T]) -> T:
        """Have a verb carried out by the host that owns the runtime; durable when this returns.

        Raises:
            NotFound: No such runtime.
            Error: What the verb raises at its owner.

        Cancellation: a request that is stored will be carried out; before, nothing happened.
        """
        request = StoredRequest(
            request_id=self._store.seams.new_id(),
            runtime_id=runtime_id,
            verb=verb.name,
            arguments=write_verb(verb),
        )
        asking = _Asking(verb=verb, request=request)
        while True:
            try:
                answered = await self._ask_once(asking)
            except (DiskFull, Contended, NoThread, NoDescriptor):
                if not asking.stored:
                    raise
                await trio.sleep(RETRY_S)  # it will be carried out; to say that nothing happened would be wrong
            else:
                if answered is not None:
                    return answered.answer

    async def doing(self, runtime_id: LogicalRuntimeId) -> str | None:
        """What the host that owns a runtime knows alone of what that does; None where that is nothing.

        Waits for the answer as long as it takes: bound it. Raises what the owner raises. Nothing is taken over for it.
        """
        verb = Doing(now=self._store.seams.wall_clock())
        request = StoredRequest(
            request_id=self._store.seams.new_id(), runtime_id=runtime_id, verb=verb.name, arguments=write_verb(verb)
        )
        await self._store.commit(Commit(changes=(_stored(request),)))
        answer = await self._news.wait_for(partial(requests.find_answer, request_id=request.request_id))
        return verb.answer(_value(answer))

    async def _ask_once(self, asking: _Asking[T]) -> _Answered[T] | None:
        runtime_id = asking.request.runtime_id
        asked = await self._news.wait_for(partial(_changed, asking.request, asking.handled))
        if asked.answer is not None:
            return _Answered(answer=asking.verb.answer(_value(asked.answer)))
        asking.handled = -1
        if self._owned.owns(runtime_id):
            if not asking.stored:
                return _Answered(answer=await self.perform(self._owned.facts(runtime_id), asking.verb))
            asking.handled = asked.holding.owner
        elif asked.holding.owner is not None:
            if not asking.stored:
                await self._store.commit(Commit(changes=(_stored(asking.request),)))
                asking.stored = True
            asking.handled = asked.holding.owner
        elif not await self._take_over(asked.holding.kind, runtime_id):
            return await self._settle_unowned(asking, asked.holding)
        else:
            self._news.stir()
        return None

    async def _take_over(self, kind: str | None, runtime_id: LogicalRuntimeId) -> bool:
        if kind is None or kind not in self._behaviours:
            return False
        await self._takeovers.take_quietly(runtime_id, kind)
        return self._owned.owns(runtime_id)

    async def _settle_unowned(self, asking: _Asking[T], holding: ownership.Holding) -> _Answered[T] | None:
        try:
            return await self._change_unowned(asking, holding)
        except (StoreBroken, Closed, DiskFull, Contended):
            raise
        except Error as exc:
            if not asking.stored:
                raise
            # Left open, it would be carried out some day, by an owner of another state, after its asker was refused.
            answer = _done(asking.request).finish(_encode_error(exc))
            commit = Commit(runtime_id=asking.request.runtime_id, fence_token=holding.fence_token, changes=(answer,))
            with suppress(StaleFence, NotFound):  # another host was faster
                await self._store.commit(commit)
            return None

    async def _change_unowned(self, asking: _Asking[T], holding: ownership.Holding) -> _Answered[T] | None:
        """Change a runtime that no host owns. None where another host was faster."""
        verb, request = asking.verb, asking.request
        runtime_id = request.runtime_id
        if holding.state is RuntimeState.DESTROYED and verb.name not in (Retry.name, Drop.name):
            raise RuntimeDestroyed(runtime_id=runtime_id)  # its dead letters are all that is left of it
        standing = Standing(state=holding.state)
        changes = [*verb.changes(runtime_id, standing, self._store.seams.new_id())]
        nothing = not changes
        if not any(isinstance(change, RenewToken) for change in changes):
            # A frozen host that wakes may still hold the last token: what it knows is old from now on.
            changes.append(RenewToken(runtime_id=runtime_id))
        behaviour = self._behaviours.get(holding.kind or "")
        max_crashes = MAX_CRASHES if behaviour is None else behaviour.restart.max_crashes
        changes.append(ReleaseOwnership(runtime_id=runtime_id, max_crashes=max_crashes))
        if asking.stored:
            changes.append(_done(request).finish())
        commit = Commit(runtime_id=runtime_id, fence_token=holding.fence_token, changes=tuple(changes))
        try:
            result = await self._store.commit(commit)
        except StaleFence:
            return None
        answer = asking.verb.answer(None if nothing else result.values[0])
        self._doubts.doubt(runtime_id)
        self._wake(runtime_id, answer)
        return _Answered(answer=answer)

    def _wake(self, runtime_id: LogicalRuntimeId, answer: object) -> None:
        """What a retry has queued, here or with the target of a send, waits for a run."""
        queued_at = answer.runtime_id if isinstance(answer, Retried) else runtime_id
        self._takeovers.wake(queued_at, steered=queued_at != runtime_id)  # the lane of a send is its own

    # Carrying out

    def carry_out(self, request: StoredRequest) -> None:
        """Carry out a stored request for a runtime of this supervisor, unless that is being done already."""
        if request.request_id not in self._busy and self._owned.owns(request.runtime_id):
            self._busy.add(request.request_id)
            defect = partial(self._mending.distrust, request.runtime_id)
            self._tasks.start_soon(partial(self._carry_out, request), defect)

    async def perform(self, facts: RuntimeFacts, verb: Verb[T], done: Done | None = None) -> T:
        """Carry out a verb for a runtime of this supervisor; durable when this returns. Raises what the verb raises."""
        answer = await verb.perform(self._actors.of(facts), done)
        if isinstance(verb, Apply) and verb.erase:
            erasures_of(self._store).stir()  # the host that asked may be gone
        if isinstance(verb, Reread):
            self._doubts.doubt(facts.runtime_id)  # what it ended, tickets here have not heard of
            self._takeovers.wake(facts.runtime_id, steered=True)  # what it brought is queued now, in whichever lane
        if isinstance(answer, Retried):
            self._wake(facts.runtime_id, answer)
        return answer

    async def _carry_out(self, request: StoredRequest) -> None:
        done = _done(request)
        try:
            facts = self._owned.facts(request.runtime_id)
            try:
                verb = read_verb(request.verb, request.arguments, request.request_id)
                await self.perform(facts, verb, done)
            except (Closed, StaleFence, StoreBroken, DiskFull, Contended):
                raise
            except Exception as exc:  # noqa: BLE001 - the asking host hears it, also of a mistake of ours
                await self._actors.of(facts).commit(done.finish(_encode_error(exc)))
        except (Closed, StaleFence, NotFound, RuntimeDestroyed):
            # The runtime is another host's now, and so is the request; or it was answered in between; or it was destroyed, and
            # the asking host finds a runtime that no host owns, and refuses it itself.
            return
        except (DiskFull, Contended):
            self._news.stir()  # nothing happened; the next look finds the request again
        finally:
            self._busy.discard(request.request_id)


def _changed(request: StoredRequest, handled: int | None, statements: Statements) -> _Asked | None:
    holding = ownership.find_holding(statements, request.runtime_id)
    if holding is None:
        raise NotFound(what="runtime", key=request.runtime_id)
    answer = requests.find_answer(statements, request.request_id)
    return _Asked(answer=answer, holding=holding) if answer is not None or holding.owner != handled else None


def _stored(request: StoredRequest) -> RequestLifecycle:
    return RequestLifecycle(
        runtime_id=request.runtime_id,
        request_id=request.request_id,
        verb=request.verb,
        arguments=request.arguments,
    )


def _done(request: StoredRequest) -> Done:
    return Done(runtime_id=request.runtime_id, request_id=request.request_id)


def _encode_error(error: Exception) -> str:
    given = error if isinstance(error, Error) else as_defect(error)
    try:
        return encode({"error": type(given).__name__, "fields": given.fields}, "answer").decode()
    except InvalidInput:  # a field has no JSON form
        return _encode_error(as_defect(given))


def _value(answer: str) -> Any:
    """What the change answered; raises the error that it stands for, if it does."""
    read = decode_object(answer, "answer")
    if "error" in read:
        kind = _find_class(read["error"], Error)
        try:
            error = Internal(detail=answer) if kind is None else kind(**read["fields"])
        except (KeyError, TypeError) as exc:
            raise Corrupt(record="request", key="answer", detail="it names an error that does not exist") from exc
        raise error
    return read.get("value")


def _find_class(name: str, below: type[Error]) -> Callable[..., Error] | None:
    for kind in below.__subclasses__():
        found = kind if kind.__name__ == name else _find_class(name, kind)
        if found is not None:
            return found
    return None
