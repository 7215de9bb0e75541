"""One seed, one trace: what the simulation needs of trio, and what it makes of it."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
from typing import Any

import pytest
import trio

import tenure
from proof.simulated.agents import torment
from tenure.persistence.model.texts import leaves
from tenure.persistence.seams.executors import InlineExecutor
from tenure.testing.determinism import run_seeded
from tenure.testing.machine import Room
from tests.kit.shares import share

HOURS = 0.05
INLINE = tenure.Seams(writer_executor=InlineExecutor, reader_executor=InlineExecutor, step_executor=InlineExecutor)


def order_of_turns(seed: int) -> list[int]:
    """In which order tasks that are always ready get their turns."""
    order: list[int] = []

    async def main(_: Room) -> None:
        async def turn(number: int) -> None:
            for _ in range(20):
                await trio.lowlevel.checkpoint()
                order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(turn, number)

    run_seeded(main, seed)
    return order


def test_the_private_switch_of_trio_is_where_we_think_it_is() -> None:
    """When this fails, a new trio has moved it: mend `tenure.testing.determinism`, the one module that knows."""
    scheduler: Any = importlib.import_module("trio._core._run")

    assert isinstance(scheduler._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    assert isinstance(scheduler._r, random.Random)


def test_the_order_of_ready_tasks_follows_from_the_seed_and_from_nothing_else() -> None:
    orders = [order_of_turns(seed) for seed in (1, 1, 2, 3)]

    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3


def test_a_sigterm_is_meant_for_the_process_and_ends_no_host_in_order() -> None:
    """A proof under `timeout` would else call a seed broken whose hosts had closed in the middle of their work."""
    went_on: list[str] = []

    async def main(_: Room) -> None:
        async with tenure.open_supervisor(":memory:", behaviours={}, seams=INLINE):
            signal.raise_signal(signal.SIGTERM)
            await trio.sleep(60)
        went_on.append("as if nobody had asked")

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - trio may wrap it in a group
        run_seeded(main, 1)

    assert [type(each) for each in leaves(caught.value)] == [KeyboardInterrupt]
    assert went_on == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_ran_before_leaves_no_mark_on_the_scheduler() -> None:
    scheduler: Any = importlib.import_module("trio._core._run")
    before = scheduler._r.getstate(), scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    order_of_turns(7)

    assert (scheduler._r.getstate(), scheduler._ALLOW_DETERMINISTIC_SCHEDULING) == before


@pytest.mark.turns(6)
@pytest.mark.slow
def test_one_seed_is_one_trace() -> None:
    first, again, other = (torment(seed, HOURS).run(seed) for seed in (3, 3, 4))

    assert first == again
    assert first.digest != other.digest
    assert first.deaths


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
def test_one_seed_is_one_trace_in_every_process() -> None:
    """Other hash seeds, other addresses, other processes: the same events at the same times, the same bytes on the disk."""
    script = f"from proof.simulated.agents import torment; print(torment(5, {HOURS}).run(5).digest)"

    def digest(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    others = [digest(hash_seed) for hash_seed in share(("1", "2"), 2)]
    assert others == [torment(5, HOURS).run(5).digest] * len(others)
