"""A program on asyncio, or without a loop, hears why its host has ended, and not only that it is closed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import tenure
import tenure.asyncio
import tenure.sync
from tenure.errors import Closed

ENDS = [SystemExit(3), KeyboardInterrupt("pressed"), BaseExceptionGroup("several", [SystemExit(3), ValueError("x")])]


def left_by(end: BaseException) -> type[BaseException]:
    return SystemExit if isinstance(end, BaseExceptionGroup) else type(end)


def ending(end: BaseException) -> Any:
    def stop() -> None:
        raise end

    async def behaviour(run: tenure.Run) -> None:
        await run.step("stop", stop, repeat="freely")

    return behaviour


@pytest.mark.parametrize("end", ENDS)
def test_the_block_of_a_program_without_a_loop_is_left_by_what_a_behaviour_ended_its_host_with(
    tmp_path: Path, end: BaseException
) -> None:
    with (
        pytest.raises(left_by(end)),
        tenure.sync.open_supervisor(tmp_path / "agents.db", behaviours={"k": ending(end)}) as supervisor,
    ):
        supervisor.accept("a", 1, kind="k").wait_outcome()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("grouped", [False, True])
def test_so_is_that_of_a_program_on_asyncio(tmp_path: Path, end: BaseException, *, grouped: bool) -> None:
    async def program() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"k": ending(end)}) as supervisor:
            ticket = await supervisor.accept("a", 1, kind="k")
            if not grouped:
                await ticket.wait_outcome()
            async with asyncio.TaskGroup() as group:
                group.create_task(ticket.wait_outcome())
                group.create_task(ticket.wait_outcome())

    with pytest.raises(left_by(end)):
        asyncio.run(program())


def test_an_error_of_the_block_itself_leaves_it_as_it_is(tmp_path: Path) -> None:
    def program() -> None:
        with tenure.sync.open_supervisor(tmp_path / "agents.db", behaviours={"k": ending(SystemExit(3))}) as supervisor:
            with pytest.raises(Closed):
                supervisor.accept("a", 1, kind="k").wait_outcome()
            raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        program()


def test_closed_of_another_host_is_an_error_of_the_block(tmp_path: Path) -> None:
    with tenure.sync.open_supervisor(tmp_path / "other.db", behaviours={}) as other:
        pass
    with (
        pytest.raises(Closed),
        tenure.sync.open_supervisor(tmp_path / "agents.db", behaviours={}),
    ):
        other.statistics()
