"""Requests: withdrawn before they are taken, answered once afterwards."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tenure.actors.request import Request


class DoubtError(Exception):
    """No answer in time."""


def request() -> Request[str]:
    return Request(lambda _: None)


async def wait(asked: Request[str], bound_s: float = 10.0) -> str:
    return await asked.wait(bound_s, DoubtError)


async def test_the_asker_gets_the_answer_whether_it_comes_before_or_behind_the_question() -> None:
    early, late = request(), request()
    early.answer("early")
    answers: list[str] = []

    async def ask() -> None:
        answers.append(await wait(late))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        late.answer("late")

    assert [await wait(early), *answers] == ["early", "late"]


async def test_the_first_answer_counts() -> None:
    answered, failed = request(), request()
    answered.answer("yes")
    answered.fail(ValueError())
    failed.fail(ValueError("no"))
    failed.answer("yes")

    assert await wait(answered) == "yes"
    with pytest.raises(ValueError, match="no"):
        await wait(failed)


async def test_cancelled_before_it_is_taken_it_is_withdrawn_and_never_taken() -> None:
    asked = request()
    with trio.CancelScope() as scope:
        scope.cancel()
        await wait(asked)

    assert scope.cancelled_caught
    assert not asked.take()


async def test_cancelled_once_it_is_taken_the_answer_is_waited_for_and_delivered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked = request()
    assert asked.take()
    answers: list[str] = []

    async def ask() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            answers.append(await wait(asked))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(5)
        asked.answer("landed")

    assert answers == ["landed"]


async def test_a_cancelled_wait_for_what_was_taken_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    asked = request()
    assert asked.take()
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(DoubtError):
            await wait(asked, 7.0)

    assert trio.current_time() == 7.0


async def test_what_is_taken_is_taken_once() -> None:
    asked = request()

    assert [asked.take(), asked.take()] == [True, False]
