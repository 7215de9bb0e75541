"""A step is tried again after the errors that its terms name, and after no other; of a group, where all of it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio.testing

import tenure
from tests.kit.hosting import host

ONCE = tenure.RestartPolicy(max_attempts=1)


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (ConnectionError("named"), 3),
        (ValueError("not named"), 1),
        (ExceptionGroup("all named", [ConnectionError(), ConnectionResetError()]), 3),
        (ExceptionGroup("not all named", [ConnectionError(), ValueError()]), 1),
    ],
)
async def test_only_what_is_named_is_tried_again(
    error: Exception, tries: int, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    called: list[None] = []

    def call() -> None:
        called.append(None)
        raise error

    async def stepping(run: tenure.Run) -> None:
        await run.step("call", call, repeat="freely", attempts=3, retry_on=(ConnectionError,))

    async with host(target, {"kind": tenure.Behaviour(stepping, restart=ONCE)}) as supervisor:
        await (await (await supervisor.spawn("alice", "kind")).accept("go")).wait_outcome()

    assert len(called) == tries
