"""What is asked and cut off is given up: it is abandoned where no run has taken it, and who was asked may ask back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import AskCycle
from tenure.testing.observing import inside_of
from tests.kit.hosting import host

QUICK = tenure.RestartPolicy(max_attempts=2, backoff_s=0.001, jitter=0.0)


async def cut_by_its_scope(run: tenure.Run) -> None:
    async with run.move_on_after(5):
        await run.ask("bob", "a question")


async def cut_in_a_gather(run: tenure.Run) -> None:
    with trio.move_on_after(5):
        await run.gather(lambda: run.ask("bob", "a question"))


async def loses(run: tenure.Run) -> None:
    async def wins() -> None:
        await trio.sleep(5)

    await run.first(lambda: run.ask("bob", "a question"), wins)


async def loses_against_an_error(run: tenure.Run) -> None:
    async def fails() -> None:
        await trio.sleep(5)
        raise ValueError("of the winner")

    with pytest.raises(ValueError, match="of the winner"):
        await run.first(lambda: run.ask("bob", "a question"), fails)


WAYS = [cut_by_its_scope, cut_in_a_gather, loses, loses_against_an_error]


@pytest.mark.parametrize("way", WAYS)
async def test_a_question_that_no_run_has_taken_is_abandoned_and_its_ticket_hears_of_it(
    target: Path | str, autojump_clock: trio.testing.MockClock, way: Any
) -> None:
    served = list[Any]()

    async def serve(run: tenure.Run) -> None:
        served.append(run.inputs[0].payload)
        await run.sleep(60)

    async def lead(run: tenure.Run) -> str:
        await way(run)
        await run.step("look", str, repeat="freely")
        await run.sleep(100)
        return "went on"

    async with host(target, {"lead": tenure.Behaviour(lead, restart=QUICK), "serve": serve}) as supervisor:
        bob = await supervisor.spawn("bob", "serve")
        await bob.accept("in the way")
        ticket = await (await supervisor.spawn("alice", "lead")).accept("go")
        await trio.sleep(1)
        [(asked,)] = inside_of(supervisor.store).rows("SELECT input_id FROM inputs WHERE kind = 'peer_request'")
        question = await supervisor.ticket("bob", input_id=asked)
        with trio.fail_after(20):
            outcome = await question.wait_outcome()
        assert (outcome.phase, outcome.reason) == ("abandoned", "deadline_exceeded")
        assert (await ticket.wait_outcome()).result == "went on"
        assert (await supervisor.why("bob"))["unfinished_inputs"] == 0
    assert served == ["in the way"]


@pytest.mark.parametrize("way", WAYS)
async def test_who_was_asked_may_ask_back(target: Path | str, autojump_clock: trio.testing.MockClock, way: Any) -> None:
    async def lead(run: tenure.Run) -> None:
        await way(run)
        (question,) = await run.wait_steered()
        run.answer(question, "an answer")

    async def asks_back(run: tenure.Run) -> Any:
        await run.sleep(20)
        try:
            return await run.ask("alice", "and you?", lane="steer")
        except AskCycle:
            return "a circle"

    async with host(target, {"lead": tenure.Behaviour(lead, restart=QUICK), "asks": asks_back}) as supervisor:
        await supervisor.spawn("bob", "asks")
        ticket = await (await supervisor.spawn("alice", "lead")).accept("go")
        await trio.sleep(1)
        [(asked,)] = inside_of(supervisor.store).rows("SELECT input_id FROM inputs WHERE kind = 'peer_request'")
        question = await supervisor.ticket("bob", input_id=asked)
        assert (await question.wait_outcome()).result == "an answer"
        assert (await ticket.wait_outcome()).phase == "consumed"
