"""A host on virtual time: inline executors, and a wall clock that is trio's."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio

import tenure
from tenure.persistence.executors import InlineExecutor
from tenure.supervisor.behaviour import BehaviourFunction

EPOCH = 1_800_000_000.0

Behaviours = Mapping[str, tenure.Behaviour | BehaviourFunction]
OpenHost = Callable[[Behaviours], AbstractAsyncContextManager[tenure.Supervisor]]


def virtual_seams(seed: int = 0) -> tenure.Seams:
    return tenure.Seams(
        writer_executor=InlineExecutor,
        reader_executor=InlineExecutor,
        step_executor=InlineExecutor,
        wall_clock=lambda: EPOCH + trio.current_time(),
        boot_clock=trio.current_time,
        random=random.Random(seed),
    )


@pytest.fixture
def open_host(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> OpenHost:
    """Opens a host on one file, again and again, on virtual time."""

    def opened(behaviours: Behaviours) -> AbstractAsyncContextManager[tenure.Supervisor]:
        return tenure.open_supervisor(tmp_path / "agents.db", behaviours=behaviours, seams=virtual_seams())

    return opened
