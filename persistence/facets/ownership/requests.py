"""Requests: verbs that another process stored for the owner of a runtime to carry out (design §4).

A request lands without a token, as ingress does. Its owner carries it out and marks it done with the answer, in one commit
where the verb changes anything, so that a request is carried out once, whichever host dies in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, final

from attrs import frozen

from tenure.errors import NotFound, RuntimeDestroyed
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    check_row,
    sound,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox import inputs
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.records import labels, runtimes
from tenure.persistence.facets.runs import (
    dead_letters,
    interrupted,
    runs,
)
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.codec import encode
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RuntimeState,
)

KEEP_S: Final = 3600.0
"""Seconds that an answer is kept for the caller."""


@final
@frozen(kw_only=True, slots=True)
class RequestLifecycle(Change):
    """Ask the owner of a runtime for a verb. Answer: None.

    Attributes:
        runtime_id: Which runtime.
        request_id: UUIDv7 of the request, by which its answer is found.
        verb: What is asked; the floor above knows the verbs.
        arguments: Of the verb, as JSON.
    """

    ingress = True

    runtime_id: LogicalRuntimeId
    request_id: str
    verb: str
    arguments: str

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.arguments)


def _request(tx: Transaction, change: RequestLifecycle) -> None:
    record = runtimes.load(tx, change.runtime_id)
    if record.state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=change.runtime_id)
    tx.write("requests.prune", before=tx.now - KEEP_S)
    tx.write(
        "requests.insert",
        request_id=change.request_id,
        runtime=record.runtime,
        verb=change.verb,
        arguments=change.arguments,
        host=tx.host,
        now=tx.now,
    )


@final
@frozen(kw_only=True, slots=True)
class FinishRequest(Change):
    """Mark a request done. Answer: None. Refused with `NotFound`, and the whole commit with it, where it is done already.

    Attributes:
        runtime_id: Whose request.
        request_id: Which one.
        answer: What came of it, as JSON.
    """

    runtime_id: LogicalRuntimeId
    request_id: str
    answer: str


def _finish(tx: Transaction, change: FinishRequest) -> None:
    _store_answer(tx, change.request_id, change.answer)


@final
@frozen(kw_only=True, slots=True)
class AnswerRequest(Change):
    """Carry out one change, and mark the request that asked for it done with what the change answered.

    Answer: that of the change. Refused like `FinishRequest`, and where the change is.

    Attributes:
        runtime_id: Whose request.
        request_id: Which one.
        change: A change of that runtime whose answer the caller waits for.
    """

    runtime_id: LogicalRuntimeId
    request_id: str
    change: Change

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return self.change.weight


def _check_answered(tx: Transaction, change: AnswerRequest) -> None:
    check = _ANSWERING[type(change.change)].check
    if check is not None:
        check(tx, change.change)


def _answer(tx: Transaction, change: AnswerRequest) -> Any:
    answer = _ANSWERING[type(change.change)].apply(tx, change.change)
    _store_answer(tx, change.request_id, encode_answer(answer))
    return answer


def encode_answer(value: object) -> str:
    """What came of a request, as it is stored."""
    return encode({"value": value}, "answer").decode()


def _store_answer(tx: Transaction, request_id: str, answer: str) -> None:
    if not tx.run("requests.finish", request_id=request_id, answer=answer, now=tx.now):
        raise NotFound(what="open request", key=request_id)


@final
@frozen(kw_only=True, slots=True)
class StoredRequest:
    """A request that waits for its owner.

    Attributes:
        request_id: Which one.
        runtime_id: Whose.
        verb: What is asked.
        arguments: Of the verb, as JSON.
    """

    request_id: str
    runtime_id: LogicalRuntimeId
    verb: str
    arguments: str


def waiting_for(statements: Statements, host: int) -> list[StoredRequest]:
    """The requests that a host has to carry out, oldest first; a damaged one hides no other."""
    rows = sound(statements.readable("requests.waiting_for", host=host), (str, str, str, str))
    return [
        StoredRequest(request_id=request_id, runtime_id=runtime_id, verb=verb, arguments=arguments)
        for request_id, runtime_id, verb, arguments in rows
    ]


def find_answer(statements: Statements, request_id: str) -> str | None:
    """What came of a request, as JSON, or None where it is not done. Raises `Corrupt`."""
    row = statements.one("requests.answer", request_id=request_id)
    if row is None:
        return None
    check_row(row, (str,), "request", request_id)
    answer: str = row[0]
    return answer


_ANSWERING: Final[Mapping[type[Change], Handler]] = {
    change: facet.handlers[change]
    for facet, change in (
        (runs.FACET, interrupted.DropRun),
        (runs.FACET, interrupted.CancelWithRun),
        (inputs.FACET, CancelInput),
        (dead_letters.FACET, dead_letters.RetryDeadLetter),
        (labels.FACET, labels.Relabel),
        (own_state.FACET, own_state.WriteOwnState),
    )
}

FACET: Final = Facet(
    name="requests",
    handlers={
        RequestLifecycle: Handler(apply=_request),
        FinishRequest: Handler(apply=_finish),
        AnswerRequest: Handler(apply=_answer, check=_check_answered),
    },
)
