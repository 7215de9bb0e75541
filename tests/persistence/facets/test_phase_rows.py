"""Every change against an input in every phase: the stored row follows its arrow, or nothing of it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tenure import AbandonReason, InputId, InputPhase, InputState, RunId, Store
from tenure.errors import InvalidTransition, NotFound
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.ownership import lifecycle
from tenure.persistence.facets.runs import interrupted, runs
from tenure.persistence.model.inputs.phases import ARROWS, InputEvent, is_terminal
from tenure.persistence.model.values import (
    InputKind,
    RuntimeState,
)
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import (
    execute,
    outcome,
)
from tests.persistence.contracts.owners.owned import Owner

Change = Callable[[Owner], Awaitable[Any]]
NAME = InputId("alice x")
RUN = RunId("alice run")


async def stage(owner: Owner) -> Any:
    return await owner.begin("other")


async def apply_run(owner: Owner) -> Any:
    return await owner.write(owner.receipt("run"), owner.finish("run"))


async def consume(owner: Owner) -> Any:
    return await owner.write(
        owner.receipt("run"), runs.ConsumeInput(runtime_id=owner.runtime_id, run_id=RUN, input_id=NAME)
    )


async def fail(owner: Owner) -> Any:
    return await owner.write(owner.fail("run", retry_at=1.0))


async def interrupt(owner: Owner) -> Any:
    return await owner.write(interrupted.UnstageRun(runtime_id=owner.runtime_id))


async def reject(owner: Owner) -> Any:
    change = runs.RejectInput(runtime_id=owner.runtime_id, run_id=RUN, input_id=NAME, error="no")
    return await owner.write(change)


async def cancel(owner: Owner) -> Any:
    return await owner.write(CancelInput(runtime_id=owner.runtime_id, input_id=NAME))


async def cancel_with_run(owner: Owner) -> Any:
    return await owner.write(interrupted.CancelWithRun(runtime_id=owner.runtime_id, input_id=NAME))


async def abandon(owner: Owner) -> Any:
    stop = lifecycle.WriteLifecycle(
        runtime_id=owner.runtime_id, state=RuntimeState.STOPPED, abandon=AbandonReason.STOPPED, end_run=True
    )
    return await owner.write(stop)


async def coalesce(owner: Owner) -> Any:
    return await owner.accept("newer", kind=InputKind.PEER_RESPONSE_PROGRESS, supersession_key="s")


async def retry(owner: Owner) -> Any:
    return await owner.write(owner.retry("x"))


CHANGES: dict[str, tuple[Change, bool, InputEvent, tuple[InputPhase, ...]]] = {
    "stage": (stage, False, InputEvent.STAGE, (InputPhase.QUEUED,)),
    "finish": (apply_run, True, InputEvent.CONSUME, (InputPhase.STAGED,)),  # apply, await and consume in one commit
    "consume": (consume, True, InputEvent.CONSUME, (InputPhase.STAGED,)),
    "fail": (fail, True, InputEvent.ROLL_BACK, (InputPhase.STAGED,)),
    "interrupt": (interrupt, True, InputEvent.ROLL_BACK, (InputPhase.STAGED,)),
    "reject": (reject, True, InputEvent.ABANDON, ()),
    "cancel": (cancel, False, InputEvent.ABANDON, ()),
    "cancel with run": (cancel_with_run, True, InputEvent.ABANDON, ()),
    "abandon": (abandon, True, InputEvent.ABANDON, ()),
    "coalesce": (coalesce, False, InputEvent.COALESCE, (InputPhase.QUEUED,)),
    "retry": (retry, False, InputEvent.RETRY, (InputPhase.ABANDONED,)),
}
"""The change, whether a run has the input, its event, and the phases it works in; none: all that can be abandoned."""

AFTER = {
    InputEvent.STAGE: InputPhase.STAGED,
    InputEvent.CONSUME: InputPhase.CONSUMED,
    InputEvent.ROLL_BACK: InputPhase.QUEUED,
    InputEvent.ABANDON: InputPhase.ABANDONED,
    InputEvent.COALESCE: InputPhase.COALESCED,
    InputEvent.RETRY: InputPhase.QUEUED,
}


async def put(store: Store, phase: InputPhase, *, in_run: bool) -> Owner:
    """A runtime with one input in this phase, and where it is said in a run that goes on."""
    owner = Owner(store, "alice")
    await owner.own()
    await owner.accept("x", kind=InputKind.PEER_RESPONSE_PROGRESS, supersession_key="s")
    if in_run:
        await owner.begin("run")
    reason = "'cancelled'" if phase is InputPhase.ABANDONED else "NULL"
    successor = "'somebody'" if phase in {InputPhase.SUPERSEDED, InputPhase.COALESCED} else "NULL"
    ended = "1.0" if is_terminal(phase) else "NULL"
    await execute(
        store,
        f"UPDATE inputs SET phase = '{phase}', reason = {reason}, successor = {successor}, finished_at = {ended}",
    )
    return owner


async def row(store: Store) -> list[tuple[Any, ...]]:
    return await execute(store, "SELECT * FROM inputs WHERE input_id = ?", NAME)


@pytest.mark.parametrize("phase", InputPhase)
@pytest.mark.parametrize("change", CHANGES)
async def test_a_stored_input_follows_its_arrow_or_its_row_is_as_it_was(change: str, phase: InputPhase) -> None:
    call, in_run, event, phases = CHANGES[change]
    works = phase in phases if phases else InputEvent.ABANDON in ARROWS[phase]
    async with open_seen_store(":memory:") as store:
        owner = await put(store, phase, in_run=in_run)
        before = await row(store)

        answer = await outcome(lambda: call(owner))

        after = await row(store)
        if works:
            assert not isinstance(answer, Exception), answer
            assert await execute(store, "SELECT phase FROM inputs WHERE input_id = ?", NAME) == [(AFTER[event],)]
        else:
            assert after == before, "no arrow, and its row has changed"
            assert not isinstance(answer, Exception) or isinstance(answer, InvalidTransition | NotFound), answer


@pytest.mark.parametrize("after", InputPhase)
@pytest.mark.parametrize("before", [each for each in InputPhase if is_terminal(each)])
async def test_no_contract_verb_moves_an_input_out_of_its_end(before: InputPhase, after: InputPhase) -> None:
    async with open_seen_store(":memory:") as store:
        owner = await put(store, before, in_run=False)
        stored = await row(store)
        more: dict[str, Any] = {"reason": AbandonReason.RESET} if after is InputPhase.ABANDONED else {}
        if after in {InputPhase.SUPERSEDED, InputPhase.COALESCED}:
            more = {"successor": InputId("another")}
        state = InputState(input_id=NAME, phase=after, **more)

        answer = await outcome(lambda: store.runtimes.persist_input_state("alice", state, fence=owner.token))

        if after is before is InputPhase.CONSUMED:
            assert answer is None, "the same end may be written again"
        else:
            assert isinstance(answer, InvalidTransition)
            assert await row(store) == stored
