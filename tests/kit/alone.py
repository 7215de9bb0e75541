"""A host that is alone on its file, on virtual time: inline executors, and a wall clock that is trio's."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio

import tenure
from tenure.persistence.seams.executors import InlineExecutor
from tenure.supervisor.runs.behaviour import Given

EPOCH = 1_800_000_000.0

ALONE = tenure.Limits(lease_s=1e6, renew_s=1e5, poll_s=1e5)
"""Hours of virtual time without a renewal of the lease in each of its seconds: nobody else is on the file."""

Behaviours = Mapping[str, Given]
OpenHost = Callable[[Behaviours], AbstractAsyncContextManager[tenure.Supervisor]]


def virtual_seams(seed: int) -> tenure.Seams:
    return tenure.Seams(
        writer_executor=InlineExecutor,
        reader_executor=InlineExecutor,
        step_executor=InlineExecutor,
        wall_clock=lambda: EPOCH + trio.current_time(),
        boot_clock=trio.current_time,
        random=random.Random(seed),
    )


@pytest.fixture
def open_host(tmp_path: Path) -> OpenHost:
    """Opens a host on one file, again and again. The test itself takes `autojump_clock`: pytest-trio looks no deeper."""

    seeds = itertools.count()

    def opened(behaviours: Behaviours) -> AbstractAsyncContextManager[tenure.Supervisor]:
        return tenure.open_supervisor(
            tmp_path / "agents.db",
            behaviours=behaviours,
            durability="os",
            limits=ALONE,
            seams=virtual_seams(next(seeds)),
        )

    return opened
