"""The invariants of a store: its state is that of its last group, verdicts hold, and every facet keeps its promises."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Final, final
from weakref import WeakKeyDictionary

from attrs import field, frozen

from proof.promises.attached import AttachedBytes
from proof.promises.facet import Rows
from proof.promises.facets import check
from tenure.errors import NotFound
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.opening import open_store
from tenure.persistence.store import Store
from tenure.testing.history import History
from tenure.testing.invariants import Invariant, Reopening
from tenure.testing.machine import Machine
from tenure.testing.observing import inside_of

from .watching import (
    state_of,
)

WAL_PAGES: Final = 60
"""So few pages that a scenario of some hundred commits checkpoints often."""

LAST_GROUPS: Final = 1
"""So many acknowledged groups are asked for, beside all that are in doubt and the one that was tried last."""


@final
@frozen
class WholeState:
    """All rows are those that the last group left: every acknowledged commit is there, and nothing half.

    What is like the state that another image had, with the same history, was checked there.
    """

    name = "state"
    _seen: WeakKeyDictionary[History, set[bytes]] = field(factory=WeakKeyDictionary[History, set[bytes]], init=False)

    async def ask(self, store: Store, history: History) -> bytes:
        """See `Invariant.ask`. Returns the state's digest."""
        state = state_of(inside_of(store))
        self._check_groups(store, history, state)
        seen = self._seen.setdefault(history, set())
        if state not in seen:
            check(Rows(inside=inside_of(store), history=history))
            seen.add(state)
        return state

    def _check_groups(self, store: Store, history: History, state: bytes) -> None:
        hosts = inside_of(store).rows("SELECT incarnation, group_number FROM hosts")
        landed: dict[str, int] = dict(hosts)
        for incarnation, group in _last_of_each(history.acknowledged("group")).items():
            assert incarnation in landed, f"host {incarnation} and its {group} groups were acknowledged and are lost"
            assert landed[incarnation] >= group, (
                f"group {group} was acknowledged; the last one here is {landed[incarnation]}"
            )
        attempted = _last_of_each(history.attempted("group"))
        for incarnation, group in landed.items():
            assert group <= attempted.get(incarnation, 0), f"group {group} of {incarnation} is there; no host tried it"
        last = [(incarnation, group) for incarnation, group in landed.items() if group]
        if last:
            _compare(state, *last[-1], history)


def _compare(state: bytes, incarnation: str, group: int, history: History) -> None:
    states = _states(history)
    known = states.get((incarnation, group))
    if known is not None:
        assert state == known, f"the rows are not those that group {group} of {incarnation} left"
        return
    # No witness saw what this group left: it was in doubt. It is there by its number, so it must be there by its rows.
    unchanged = state == states.get((incarnation, group - 1))
    assert not unchanged or (incarnation, group) in history.noted("empty"), (
        f"group {group} of {incarnation} is there by its number alone"
    )


def _states(history: History) -> dict[tuple[str, int], bytes]:
    return {(incarnation, group): state for incarnation, group, state in history.noted("state")}


def _last_of_each(groups: tuple[Any, ...]) -> dict[str, int]:
    return dict(groups)  # they come in order


@final
@frozen
class Verdicts:
    """What was acknowledged has landed by its verdict, and no verdict flips."""

    name = "verdicts"

    async def ask(self, store: Store, history: History) -> dict[tuple[str, int], bool | None]:
        """See `Invariant.ask`. Returns the verdicts; None where the host is unknown."""
        acknowledged = history.acknowledged("group")[-LAST_GROUPS:]
        asked = {*acknowledged, *history.in_doubt("group"), *history.attempted("group")[-1:]}
        verdicts = {name: await _verdict(store, *name) for name in sorted(asked)}
        for name in acknowledged:
            assert verdicts[name] is True, f"group {name} was acknowledged, and its verdict is {verdicts[name]}"
        for name in history.in_doubt("group"):
            assert verdicts[name] is not None, f"group {name} is in doubt, and no host knows it"
        return verdicts


async def _verdict(store: Store, incarnation: str, group: int) -> bool | None:
    try:
        return await store.verdict(incarnation, group)
    except NotFound:
        return None


def open_real(
    machine: Machine, durability: DurabilityClass = DurabilityClass.DISK
) -> AbstractAsyncContextManager[Store]:
    """Open the real store on a machine."""
    return open_store(machine.path(), seams=machine.seams(wal_pages=WAL_PAGES), durability=durability)


def store_check(durability: DurabilityClass = DurabilityClass.DISK, *, again: float = 0.5) -> Reopening[Store]:
    """The check of a store with everything that its facets promise; `again` as in `Reopening`."""
    invariants: list[Invariant[Store]] = [WholeState(), Verdicts(), AttachedBytes()]
    return Reopening(open_store=lambda machine: open_real(machine, durability), invariants=invariants, again=again)
