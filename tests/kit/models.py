"""What state machines share that hold a store against a model: a loop of their own, company, and one judgement of both."""

from __future__ import annotations

import copy
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar, final

import pytest
import trio

import tenure
from tenure import Store
from tenure.errors import Error, InvalidTransition
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.inbox.input_records import PersistInputs
from tenure.persistence.facets.runs.runs import FinishRun
from tenure.persistence.model.inputs.input_state import InputState
from tenure.persistence.model.values import InputId, InputPhase, LogicalRuntimeId, RunId

from .ground import submit

M = TypeVar("M")

_COMPANY = LogicalRuntimeId("company")
_REFUSED = Commit(
    runtime_id=_COMPANY,
    changes=(
        PersistInputs(runtime_id=_COMPANY, states=(InputState(input_id=InputId("i"), phase=InputPhase.QUEUED),)),
        FinishRun(runtime_id=_COMPANY, run_id=RunId("none")),
    ),
)
"""It writes, and is refused after that."""


@final
class Host:
    """A store in a trio loop of its own, on a thread of its own. On a file it keeps the rows of every group for a while."""

    def __init__(self, target: str) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._serve, target))
        self._thread.start()
        self._ready.wait()

    async def _serve(self, target: str) -> None:
        async with tenure.open_store(target, durability="memory", seams=keeping(target)) as self.store:
            self._token = trio.lowlevel.current_trio_token()
            self._stop = trio.Event()
            self._ready.set()
            await self._stop.wait()

    def run(self, function: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
        return trio.from_thread.run(partial(function, *arguments, **named), trio_token=self._token)

    def close(self) -> None:
        trio.from_thread.run_sync(self._stop.set, trio_token=self._token)
        self._thread.join()


def keeping(target: str) -> tenure.Seams:
    """Seams by which a file of SQLite keeps the rows of every group, however small: the shape of a group of many commits."""
    is_file = target != ":memory:" and "://" not in target
    return tenure.Seams(engine=tenure.SqliteOptions(keep_from=1)) if is_file else tenure.Seams()


async def call(store: Store, verb: Callable[[], Awaitable[Any]], *, in_company: bool) -> Any:
    """Call a verb, alone in its group or after a commit that writes and is refused, so that the group is replayed."""
    refused = submit(store, _REFUSED) if in_company else None
    try:
        return await verb()
    finally:
        if refused is not None:
            with pytest.raises(InvalidTransition):
                await refused.wait()


class Modelled(Protocol[M]):
    """A state machine.

    Attributes:
        model: What the store is to be like.
    """

    model: M


def side_by_side(
    machine: Modelled[M],
    expect: Callable[[M], Any],
    act: Callable[[], Any],
    *,
    refusals: type[Exception] = Error,
    class_of: Callable[[Any], type[Exception]] = type,
) -> Any:
    """Ask the model, and then the store: the same answer, or a refusal of the same class, which changes nothing. The answer.

    The model has changed when `act` is called.
    """
    attempt = copy.deepcopy(machine.model)
    expected: Any
    try:
        expected = expect(attempt)
    except refusals as refusal:
        expected = class_of(refusal)
    else:
        machine.model = attempt
    answer: Any
    try:
        answer = act()
    except Error as error:
        answer = type(error)
    assert answer == expected, (answer, expected)
    return answer
