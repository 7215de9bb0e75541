"""The own state of a runtime, read from outside its runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, final

from attrs import field, frozen

from tenure.errors import NotFound
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.codec import decode
from tenure.persistence.model.values import LogicalRuntimeId
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
