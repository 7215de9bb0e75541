"""Defects of the library that a run comes upon: charged to that run as crashes, and no other ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio
import trio.testing

import tenure
from tenure.supervisor.runs import bad_ends, execution
from tenure.supervisor.supervisor import host_of
from tests.kit.hosting import (
    consumed,
    host,
    nothing,
)

PLACES = {
    "the failed run's decision": (bad_ends, "decide"),
    "the text of its error": (bad_ends, "describe"),
    "its first look for errors": (bad_ends, "last_frames"),
    "the run itself": (execution, "Run"),
}


async def failing(_: tenure.Run) -> None:
    raise ValueError("mine")


def defect(*_: object, **__: object) -> NoReturn:
    raise ZeroDivisionError("ours")


@pytest.mark.parametrize("place", PLACES)
async def test_a_defect_is_charged_to_its_run_and_the_fifth_in_a_row_holds_the_runtime(
    place: str, target: Path | str, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged: list[int] = []

    async def body(supervisor: tenure.Supervisor) -> None:
        mallory = await supervisor.spawn("mallory", "failing")
        with monkeypatch.context() as patched:
            patched.setattr(*PLACES[place], defect)
            ticket = await mallory.accept("go")
            assert await mallory.wait_held() == "crash loop"
            charged.append(host_of(supervisor).log.defects)
        assert ticket.outcome is None, "no input is lost by a mistake of ours"
        assert "ZeroDivisionError: ours" in (mallory.held_detail or "")
        await consumed(await supervisor.spawn("alice", "kind"), "go")

        await mallory.resume()
        outcome = await ticket.wait_outcome()
        assert (outcome.phase, outcome.reason) == ("abandoned", "max_attempts_exhausted")

    async with host(target, {"failing": failing, "kind": nothing}) as supervisor:
        await body(supervisor)

    assert charged == [5]


async def test_a_run_that_ends_forgives_the_defects_before_it(
    target: Path | str, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Any] = []
    real = bad_ends.decide

    def four_times(*arguments: Any, **options: Any) -> Any:
        if len(failures) % 5 < 4:
            failures.append(None)
            raise ZeroDivisionError("ours")
        failures.append(None)
        return real(*arguments, **options)

    monkeypatch.setattr(bad_ends, "decide", four_times)
    async with host(target, {"failing": failing}) as supervisor:
        mallory = await supervisor.spawn("mallory", "failing")
        outcome = await (await mallory.accept("go")).wait_outcome()

        assert outcome.reason == "max_attempts_exhausted"
        assert len(failures) == 15
        assert mallory.held is None
