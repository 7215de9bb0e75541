"""Scopes of anyio around verbs on a loop of asyncio: each knows the cancellation that is its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import pytest

import tenure
import tenure.asyncio

PATIENCE_S = 20.0


async def wait_for_ever(run: tenure.Run) -> None:
    await run.sleep(3600)


@pytest.mark.parametrize("seconds", [0, 0.001, 0.003, 0.01, 0.03])
def test_a_scope_that_is_over_ends_the_verbs_inside_and_goes_no_further(tmp_path: Path, seconds: float) -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            tenure.asyncio.open_supervisor(tmp_path / "a.db", behaviours={"wait": wait_for_ever}) as supervisor,
        ):
            with anyio.move_on_after(seconds) as waiting:
                ticket = await supervisor.accept("ada", 1, kind="wait")
                await ticket.wait_outcome()
            assert waiting.cancelled_caught
            written = 0
            with anyio.move_on_after(seconds) as writing:
                while True:
                    written += await supervisor.store.state.write({f"turn:{written:04}": b"1"})
            assert writing.cancelled_caught
            # One more may have landed whose result was cut off with the loop around it.
            assert written <= len(await supervisor.store.state.items("turn:", limit=1_000)) <= written + 1

    asyncio.run(main())


def test_a_scope_around_the_opening_knows_its_own_too(tmp_path: Path) -> None:
    async def main() -> None:
        for seconds in (0, 0.001, 0.01):
            with anyio.move_on_after(seconds):
                async with tenure.asyncio.open_store(tmp_path / "a.db") as store:
                    await anyio.sleep(seconds)
                    await store.state.write({"k": b"1"})
                    await anyio.sleep(PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S), tenure.asyncio.open_store(tmp_path / "a.db") as store:
            assert await store.state.write({"k": b"2"}) == 1

    asyncio.run(main())
