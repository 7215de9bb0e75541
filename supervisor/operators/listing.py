"""The verb of a supervisor that lists runtimes. Alone in its class: beside it, no annotation could name a `list`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from tenure.errors import InvalidInput
from tenure.persistence.commits.rows import PAGE
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.labels import check_labels
from tenure.persistence.model.values import RuntimeState, check_runtime_id
from tenure.persistence.store import Store
from tenure.persistence.upkeep.inspect import RuntimeLine, Wanted, list_runtimes


class Listing:
    """Lists what is stored.

    Attributes:
        store: The store beneath.
    """

    def __init__(self, store: Store) -> None:
        """Of this store."""
        self.store = store

    @checked
    async def list(
        self,
        *,
        kind: str | None = None,
        state: RuntimeState | None = None,
        held: bool = False,
        parent: str | None = None,
        labels: Mapping[str, str] | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> tuple[RuntimeLine, ...]:
        """The runtimes of the store, by id, here or on another host; those that every argument fits.

        Args:
            kind: Of this kind.
            state: In this state, as it is stored.
            held: Held, or on hold.
            parent: Children of this runtime.
            labels: Those that have each of these labels, at most 32; a page costs what it returns, and what it passes by. One
                that may have them, and whose labels are damaged, is listed with None for them.
            after: With a higher id than this one: the next page.
            limit: At most so many; None for all.

        Raises:
            InvalidInput: `limit` is below 1, a label cannot be, or a state is true only inside the process that owns a runtime.
        """
        wanted = wanted_of(kind, state, parent, labels, held=held)
        return await read_runtimes(self.store, wanted, after, limit)


def wanted_of(
    kind: str | None, state: RuntimeState | None, parent: str | None, labels: Mapping[str, str] | None, *, held: bool
) -> Wanted:
    """Which runtimes are meant. Raises `InvalidInput` as `Supervisor.list`."""
    if state in (RuntimeState.ATTACHED, RuntimeState.RUNNING):
        raise InvalidInput(detail=f"{state} is never stored; an idle runtime may be it", field="state")
    children_of = None if parent is None else check_runtime_id(parent)
    return Wanted(kind=kind, state=state, held=held, parent=children_of, labels=check_labels(labels))


async def read_runtimes(store: Store, wanted: Wanted, after: str, limit: int | None) -> tuple[RuntimeLine, ...]:
    """See `Supervisor.list`."""
    if limit is not None and limit < 1:
        raise InvalidInput(detail=f"{limit} is below 1", field="limit")
    found: list[RuntimeLine] = []
    left = math.inf if limit is None else limit
    while left:
        read = partial(list_runtimes, after=after, count=int(min(left, PAGE)), wanted=wanted)
        if not (page := await store.read(read)):
            break
        found += page
        left, after = left - len(page), page[-1].runtime_id
    return tuple(found)
