"""The own state of a runtime from outside its runs: read, and written by a caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, final

from attrs import field, frozen

from tenure.errors import InvalidInput, NotFound, PayloadTooLarge, RuntimeOwned, StaleFence
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership import ownership
from tenure.persistence.facets.state import own_state
from tenure.persistence.facets.state.own_state import WriteOwnState
from tenure.persistence.model.codec import decode, encode, is_object
from tenure.persistence.model.contracts.execution import check_state_name
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store


@final
@frozen(kw_only=True, slots=True)
class OwnState:
    """What a runtime keeps between its runs.

    Attributes:
        revision: That of the last write. `Supervisor.set_execution_state` takes it as `expected`.
        values: By name.
    """

    revision: int
    values: Mapping[str, Any] = field(repr=False)


async def read_own_state(store: Store, runtime_id: LogicalRuntimeId) -> OwnState:
    """See `Supervisor.execution_state`."""
    found = await store.read(partial(own_state.find, runtime_id=runtime_id))
    if found is None:
        raise NotFound(what="runtime", key=runtime_id)
    values = {name: decode(data, "own value", f"{runtime_id}/{name}") for name, data in found.values.items()}
    return OwnState(revision=found.revision, values=values)


def own_state_change(
    limits: Limits,
    runtime_id: LogicalRuntimeId,
    values: Mapping[str, Any],
    delete: Iterable[str],
    expected: int | None,
) -> WriteOwnState:
    """A write as it is stored. Raises `InvalidInput`, `PayloadTooLarge`."""
    plain = decode(encode(values, "values"), "values", runtime_id)  # a copy: the caller may change the dict
    if not is_object(plain):
        raise InvalidInput(detail="values by name are wanted", field="values")
    written: dict[str, bytes | None] = {check_state_name(name): encode(value, "value") for name, value in plain.items()}
    for data in written.values():
        if data is not None and len(data) > limits.payload_bytes:
            raise PayloadTooLarge(size=len(data), limit=limits.payload_bytes)
    for name in delete:
        if check_state_name(name) in written:
            raise InvalidInput(detail=f"{name!r} is set and deleted", field="delete")
        written[name] = None
    return WriteOwnState(runtime_id=runtime_id, values=tuple(written.items()), expected=expected)


async def write_unowned(store: Store, change: WriteOwnState) -> int:
    """Write the state of a runtime that this host does not own. Raises `RuntimeOwned` where another living host does."""
    try:
        result = await store.commit(Commit(runtime_id=change.runtime_id, fence_token=None, changes=(change,)))
    except StaleFence as exc:
        holding = await store.read(partial(ownership.find_holding, runtime_id=change.runtime_id))
        holder = None if holding is None else holding.holder
        raise RuntimeOwned(runtime_id=change.runtime_id, holder=holder or "") from exc
    revision: int = result.values[0]
    return revision
