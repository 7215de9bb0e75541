"""What a caller writes to the own state of a runtime: the verb, and the write where no host owns the runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, final

from attrs import field, frozen

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import InvalidInput, PayloadTooLarge, StaleFence
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.facets.state.own_state import WriteOwnState
from tenure.persistence.model.codec import decode, encode, is_object
from tenure.persistence.model.contracts.execution import check_state_name
from tenure.persistence.model.lifecycles.lifecycle import Standing
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store

from .verbs import Done


@final
@frozen(kw_only=True, slots=True)
class SetValues:
    """Set and delete values of the own state. Answers its revision then.

    Attributes:
        values: JSON values by name.
        delete: Names.
        expected: The revision that it must have; None does not ask.
    """

    name = "set_execution_state"

    values: dict[str, Any] = field(repr=False)
    delete: tuple[str, ...] = ()
    expected: int | None = None

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> int:
        """See `Verb.perform`."""
        change = self.change(actor.facts.runtime_id)
        (answer,) = await actor.commit(change if done is None else done.answer(change))
        return self.answer(answer)

    def changes(self, runtime_id: LogicalRuntimeId, _standing: Standing, _epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        return (self.change(runtime_id),)

    def answer(self, value: Any, /) -> int:
        """See `Verb.answer`."""
        return int(value)

    def change(self, runtime_id: LogicalRuntimeId) -> Change:
        """As it is written."""
        written = [(name, encode(value, "value")) for name, value in self.values.items()]
        deleted = [(name, None) for name in self.delete]
        return WriteOwnState(runtime_id=runtime_id, values=(*written, *deleted), expected=self.expected)


def set_values(
    limits: Limits,
    values: Mapping[str, Any],
    delete: Iterable[str],
    expected: int | None,
) -> SetValues:
    """What is to be written, checked. Raises `InvalidInput`, `PayloadTooLarge`."""
    plain = decode(encode(values, "values"), "values", "values")  # a copy: the caller may change the dict
    if not is_object(plain):
        raise InvalidInput(detail="values by name are wanted", field="values")
    written = {check_state_name(name): value for name, value in plain.items()}
    for value in written.values():
        size = len(encode(value, "value"))
        if size > limits.payload_bytes:
            raise PayloadTooLarge(size=size, limit=limits.payload_bytes)
    deleted = tuple([check_state_name(name) for name in delete])
    for name in deleted:
        if name in written:
            raise InvalidInput(detail=f"{name!r} is set and deleted", field="delete")
    return SetValues(values=written, delete=deleted, expected=expected)


async def write_unowned(store: Store, runtime_id: LogicalRuntimeId, verb: SetValues) -> int | None:
    """Write the state of a runtime that no host owns, and take nothing over for it. None where a living host owns it."""
    commit = Commit(runtime_id=runtime_id, fence_token=None, changes=(verb.change(runtime_id),))
    try:
        result = await store.commit(commit)
    except StaleFence:
        return None
    return verb.answer(result.values[0])
