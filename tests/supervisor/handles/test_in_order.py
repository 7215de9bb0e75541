"""Dead letters stand in the order in which their inputs were accepted, also those of one moment, and are retried in it."""

from __future__ import annotations

import random
from uuid import UUID

import pytest
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidTransition
from tenure.persistence.seams.seams import Identifiers
from tests.kit.alone import OpenHost


async def test_what_a_stop_abandoned_is_retried_in_the_order_it_came(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    seen: list[int] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.extend(each.payload for each in run.inputs)

    async with open_host({"k": behaviour}) as supervisor:
        await supervisor.hold("a")
        for number in range(20):
            await supervisor.accept("a", number, kind="k")
        await (await supervisor.find("a")).stop()
        letters = await supervisor.dead_letters("a")
        assert [int(letter.payload) for letter in letters] == list(range(20))
        await supervisor.resume("a")
        runtime = await supervisor.spawn("a", "k")
        for letter in letters:
            await runtime.retry(letter.input_id)
            await (await supervisor.ticket("a", input_id=letter.input_id)).wait_outcome()

    assert seen == list(range(20))


async def test_a_retry_of_what_came_back_with_its_batch_names_the_input(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        raise OSError("down")

    kind = tenure.Behaviour(behaviour, batch=2, restart=tenure.RestartPolicy(max_attempts=1))
    async with open_host({"k": kind}) as supervisor:
        await supervisor.hold("a")
        tickets = [await supervisor.accept("a", number, kind="k") for number in range(2)]
        await supervisor.resume("a")
        for ticket in tickets:
            await ticket.wait_outcome()
        await supervisor.hold("a")
        runtime = await supervisor.spawn("a", "k")
        first, second = [letter.input_id for letter in await supervisor.dead_letters("a")]
        assert await runtime.retry(first) == (first, second)
        with pytest.raises(InvalidTransition, match="retry is not possible for 'a' while it is queued"):
            await runtime.retry(second)


@pytest.mark.parametrize("source", [random.Random(7), random.SystemRandom()])
def test_identifiers_of_one_millisecond_sort_as_they_were_made(source: random.Random) -> None:
    identifiers = Identifiers()
    made = [identifiers.draw(lambda: 1_700_000_000.5, source) for _ in range(10_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {UUID(each).version for each in made} == {7}


def test_an_identifier_has_the_time_of_the_clock_also_where_that_was_set_back() -> None:
    identifiers = Identifiers()
    for seconds in (2000.0, 1000.0, 1000.0, 1000.001, 3000.0):
        made = UUID(identifiers.draw(lambda seconds=seconds: seconds, random.Random(1)))  # type: ignore[misc]
        assert made.int >> 80 == int(seconds * 1000)
