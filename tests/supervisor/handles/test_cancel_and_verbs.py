"""Cancel, recycle, and the lifecycle verbs that a behaviour calls on itself."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import InvalidInput, InvalidTransition, NotAccepting, RuntimeDestroyed
from tests.kit.alone import OpenHost


async def forever(run: tenure.Run) -> None:
    run.session.append("begun")
    await run.checkpoint()
    await trio.sleep_forever()


async def test_cancel_ends_the_current_run_and_abandons_its_batch_and_the_next_input_runs(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[int] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append(run.inputs[0].payload)
        if run.inputs[0].payload == 1:
            await trio.sleep_forever()

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        first, second = await runtime.accept(1), await runtime.accept(2)
        await runtime.wait_state("running")

        assert await runtime.cancel() is True

        outcome = await first.wait_outcome()
        assert (outcome.phase, outcome.reason) == ("abandoned", "cancelled")
        assert (await second.wait_outcome()).phase == "consumed"
        assert seen == [1, 2]


async def test_cancel_with_an_id_abandons_that_queued_input_only(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"k": forever}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        running = await runtime.accept(1)
        await runtime.wait_state("running")
        queued, other = await runtime.accept(2), await runtime.accept(3)

        assert await runtime.cancel(running.input_id) is False
        assert await runtime.cancel(queued.input_id) is True
        assert await runtime.cancel(queued.input_id) is False

        assert (await queued.wait_outcome()).reason == "cancelled"
        assert running.outcome is None
        assert other.outcome is None
        assert runtime.state == "running"


async def test_cancel_with_an_id_in_a_run_ends_the_run_that_has_it_and_never_another(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"k": forever}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        running = await runtime.accept(1)
        await runtime.wait_state("running")
        queued, other = await runtime.accept(2), await runtime.accept(3)

        assert await runtime.cancel(queued.input_id, in_run=True) is True
        assert (await queued.wait_outcome()).reason == "cancelled"
        assert running.outcome is None
        assert await runtime.cancel(running.input_id, in_run=True) is True
        assert (await running.wait_outcome()).reason == "cancelled"
        await runtime.wait_state("running")

        for ended in (running.input_id, queued.input_id, "no such input"):
            assert await runtime.cancel(ended, in_run=True) is False
        await wait_all_tasks_blocked()
        assert other.outcome is None
        assert runtime.state == "running"
        with pytest.raises(InvalidInput) as refused:
            await runtime.cancel(in_run=True)
        assert refused.value.field == "in_run"


async def test_cancel_with_an_id_in_a_run_ends_one_that_waits_for_its_next_attempt_with_its_batch(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def failing(run: tenure.Run) -> None:
        raise ValueError("no")

    async with open_host({"k": tenure.Behaviour(failing, batch=2)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        async with trio.open_nursery() as nursery:
            tickets: list[tenure.Ticket] = []

            async def accept(number: int) -> None:
                tickets.append(await runtime.accept(number))

            for number in (1, 2):
                nursery.start_soon(accept, number)
        await runtime.wait_state("running")
        await runtime.wait_state("attached")

        ended = [await runtime.cancel(each.input_id, in_run=True) for each in tickets]
        outcomes = [await each.wait_outcome() for each in tickets]

        assert {each.reason for each in outcomes} == {"cancelled"}
        assert ended in ([True, False], [True, True])
        assert runtime.state == "attached"


async def test_cancel_abandons_a_failed_run_that_waits_for_its_next_attempt(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def failing(run: tenure.Run) -> None:
        raise ValueError("no")

    async with open_host({"k": failing}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        await runtime.wait_state("running")
        await runtime.wait_state("attached")

        assert await runtime.cancel() is True
        assert (await ticket.wait_outcome()).reason == "cancelled"
        assert await runtime.cancel() is False


async def test_recycle_brings_a_retired_runtime_back_with_all_that_it_holds(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"k": forever}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.retire()
        with pytest.raises(NotAccepting):
            await runtime.accept(1)

        await runtime.recycle()

        await runtime.accept(2)
        await runtime.wait_state("running")
        with pytest.raises(InvalidTransition):
            await runtime.recycle()


async def test_a_verb_of_the_behaviour_lands_with_the_final_commit_of_its_run(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def retiring(run: tenure.Run) -> None:
        run.retire()
        await run.checkpoint()
        assert supervisor.runtime("a").state == "running"

    async with open_host({"k": retiring}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)

        assert (await ticket.wait_outcome()).phase == "consumed"
        assert runtime.state == "retired"

    async with open_host({"k": retiring}) as supervisor:
        assert (await supervisor.spawn("a", "k")).state == "retired"


async def test_a_failed_run_drops_the_verb_of_its_behaviour(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def failing(run: tenure.Run) -> None:
        run.destroy()
        raise ValueError("no")

    async with open_host({"k": failing}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)

        assert (await ticket.wait_outcome()).reason == "max_attempts_exhausted"
        assert runtime.state == "attached"


async def test_a_behaviour_that_stops_itself_ends_well_and_abandons_the_rest(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def stopping(run: tenure.Run) -> None:
        run.stop()

    async with open_host({"k": stopping}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        async with trio.open_nursery() as nursery:
            tickets: list[tenure.Ticket] = []

            async def accept(n: int) -> None:
                tickets.append(await runtime.accept(n))

            for n in range(3):
                nursery.start_soon(accept, n)
        outcomes = [await ticket.wait_outcome() for ticket in tickets]

        assert sorted(outcome.phase for outcome in outcomes) == ["abandoned", "abandoned", "consumed"]
        assert {outcome.reason for outcome in outcomes} == {None, "stopped"}
        assert runtime.state == "stopped"


async def test_a_behaviour_that_resets_itself_begins_a_new_life_under_a_new_token(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def resetting(run: tenure.Run) -> None:
        if run.generation == 0:
            run.reset()

    async with open_host({"k": resetting}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        token = runtime.fence_token
        await (await runtime.accept(1)).wait_outcome()

        assert (runtime.generation, runtime.state) == (1, "attached")
        assert runtime.fence_token > token
        assert (await (await runtime.accept(2)).wait_outcome()).phase == "consumed"


async def test_a_behaviour_that_destroys_itself_leaves_a_tombstone(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def destroying(run: tenure.Run) -> None:
        run.destroy()
        with pytest.raises(RuntimeDestroyed):
            run.retire()

    async with open_host({"k": destroying}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert (await (await runtime.accept(1)).wait_outcome()).phase == "consumed"
        with pytest.raises(RuntimeDestroyed):
            await runtime.accept(2)

    async with open_host({"k": destroying}) as supervisor:
        with pytest.raises(RuntimeDestroyed):
            await supervisor.spawn("a", "k")


async def test_a_stop_during_a_run_lands_behind_its_commit_in_flight_and_nothing_of_it_lands_later(
    autojump_clock: MockClock,
    open_host: OpenHost,
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        while True:
            run.session.append("again")
            await run.checkpoint()

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        await runtime.wait_state("running")
        await runtime.stop()
        landed = len(await supervisor.read_session("a"))
        await wait_all_tasks_blocked()

        assert (await ticket.wait_outcome()).reason == "stopped"
        assert len(await supervisor.read_session("a")) == landed
        assert (await supervisor.spawn("a", "k")).state == "attached"


@pytest.mark.parametrize(("own", "ends"), [("stop", "retired"), ("retire", "retired"), ("destroy", "destroyed")])
async def test_a_verb_of_the_behaviour_is_decided_behind_one_from_outside_that_came_later(
    autojump_clock: MockClock, open_host: OpenHost, own: str, ends: str
) -> None:
    go = trio.Event()

    async def behaviour(run: tenure.Run) -> None:
        getattr(run, own)()
        await go.wait()

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        await wait_all_tasks_blocked()
        await runtime.retire()
        go.set()

        assert (await ticket.wait_outcome()).phase == "consumed"
        assert runtime.state == ends

    async with open_host({}) as supervisor:
        assert await supervisor.store.runtimes.load_runtime_state("a") == ends


@pytest.mark.parametrize("verb", ["stop", "destroy", "cancel", "retire", "reset", "recycle"])
async def test_a_behaviour_that_uses_its_own_handle_is_answered_or_cut_off_like_anybody_else(
    autojump_clock: MockClock, open_host: OpenHost, verb: str
) -> None:
    handles: list[tenure.Runtime] = []
    said: list[str] = []

    async def meddling(run: tenure.Run) -> None:
        if len(said) < 2:
            said.append("before")
            try:
                await getattr(handles[0], verb)()
            except InvalidTransition:
                said.append("refused")
            except trio.Cancelled:
                said.append("cut off")
                raise
            else:
                said.append("behind")
        run.session.append(run.inputs[0].payload)

    async with open_host({"k": meddling}) as supervisor:
        with trio.fail_after(60):
            handles.append(await supervisor.spawn("a", "k"))
            ticket = await handles[0].accept("go")
            outcome = await ticket.wait_outcome()
            await wait_all_tasks_blocked()

        expected = {
            "stop": ("abandoned", "stopped", "stopped"),
            "destroy": ("abandoned", "destroyed", "destroyed"),
            "cancel": ("abandoned", "cancelled", "attached"),
            "retire": ("consumed", None, "retired"),
            "reset": ("consumed", None, "attached"),  # refused while it runs, as from anywhere
            "recycle": ("consumed", None, "attached"),
        }
        assert (outcome.phase, outcome.reason, handles[0].state) == expected[verb]
        assert said[0] == "before"
        if verb in ("reset", "recycle"):
            assert said[1] == "refused"


async def test_a_behaviour_gives_itself_and_others_input_and_spawns_them(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    supervisors: list[tenure.Supervisor] = []

    async def parent(run: tenure.Run) -> None:
        number = run.inputs[0].payload
        run.session.append(number)
        if number < 3:
            child = await supervisors[0].spawn(f"child-{number}", "child")
            ticket = await child.accept(number, idempotency_key="only")
            assert (await ticket.wait_outcome()).phase == "consumed"
            await supervisors[0].runtime("a").accept(number + 1, idempotency_key=f"{number + 1}")

    async def child(run: tenure.Run) -> None:
        run.session.append(run.inputs[0].payload)

    async with open_host({"parent": parent, "child": child}) as supervisor:
        supervisors.append(supervisor)
        with trio.fail_after(60):
            await (await supervisor.spawn("a", "parent")).accept(0)
            while len(await supervisor.read_session("a")) < 4:
                await wait_all_tasks_blocked()
        assert await supervisor.read_session("a") == [0, 1, 2, 3]
        assert await supervisor.read_session("child-2") == [2]
