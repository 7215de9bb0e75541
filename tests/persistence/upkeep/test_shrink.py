"""Room that was pruned is given back to the disk, beside hosts that run."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import tenure
from tests.kit.hosting import nothing


async def fill(supervisor: tenure.Supervisor, count: int) -> None:
    for number in range(count):
        await (await supervisor.accept("ann", "x" * 20_000, kind="quiet")).wait_outcome()
        assert number < count


@pytest.mark.sqlite("the pages of a file")
async def test_a_store_shrinks_beside_another_host_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with (
        tenure.open_supervisor(path, behaviours={"quiet": nothing}, durability="os") as supervisor,
        tenure.open_store(path) as other,
    ):
        await fill(supervisor, 60)
        assert (await other.prune(0)).inputs == 60

        shrunk = await other.shrink()

        assert shrunk.written
        assert shrunk.after_bytes < shrunk.before_bytes - 60 * 20_000 // 2
        with trio.fail_after(60):
            while path.stat().st_size > shrunk.after_bytes:
                await other.shrink()
                await trio.sleep(0.05)
        await fill(supervisor, 2)
        assert (await other.shrink(most_bytes=1)).written is False
        assert [line.inputs for line in await supervisor.list()] == [0]
