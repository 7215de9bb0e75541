"""What a crash does to clocks, identity and locks."""

from __future__ import annotations

import importlib
from typing import Any

import trio

from tenure.testing import Cut, History, Machine, PowerCut, Witness
from tenure.testing.determinism import run_seeded
from tenure.testing.drive.disk import Disk
from tenure.testing.machine import Room


def test_a_kill_is_another_process_and_a_power_cut_another_boot() -> None:
    async def main(room: Room) -> None:
        with Machine(Disk(), room=room, seed="s") as machine:
            await trio.sleep(50)
            killed, cut = machine.crashed(Cut.KILL), machine.crashed(Cut.NOTHING)
            first, second, third = (each.seams().identity for each in (machine, killed, cut))

            assert first.boot_id == second.boot_id != third.boot_id
            assert first.pid != second.pid
            assert machine.wall_clock() < killed.wall_clock() == cut.wall_clock()
            assert machine.boot_clock() < killed.boot_clock()
            assert cut.boot_clock() < machine.boot_clock()

    run_seeded(main, 0)


def test_nobody_holds_a_lock_after_a_crash() -> None:
    async def main(room: Room) -> None:
        with Machine(Disk(), room=room, seed="s") as machine:
            path = machine.path("agents.db-lock")
            assert machine.locks.acquire(path, exclusive=True) is not None
            assert machine.locks.acquire(path, exclusive=True) is None
            later = machine.crashed(Cut.KILL)

            assert later.locks.acquire(path, exclusive=True) is not None

    run_seeded(main, 0)


def test_a_crashed_machine_runs_on_without_touching_the_one_that_came_of_it() -> None:
    async def main(room: Room) -> None:
        with Machine(Disk(), room=room, seed="s") as machine:
            files, path = machine.files, machine.path("a")
            files.write(path, b"1")
            later = machine.crashed(Cut.KILL)
            files.write(path, b"2")
            files.sync(path)

            assert later.files.read(later.path("a")) == b"1"
            assert files.read(path) == b"2"

    run_seeded(main, 0)


def test_virtual_time_passes_at_once_and_everything_drawn_follows_from_the_seed() -> None:
    drawn: list[object] = []
    trio_run: Any = importlib.import_module("trio._core._run")

    async def scenario(machine: Machine, witness: Witness) -> None:
        order: list[int] = []

        async def task(number: int) -> None:
            for _ in range(5):
                await trio.sleep(3_600)
                order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(task, number)
        seams = machine.seams()
        drawn.append((order, seams.new_id(), seams.wall_clock()))

    async def check(machine: Machine, history: History) -> None:
        assert machine.wall_clock() > 1_722_470_400 + 5 * 3_600

    for number, seed in enumerate((1, 1, 2)):
        trio_run._r.seed(number)  # whatever trio drew before
        PowerCut(scenario=scenario, check=check, seed=seed).run()

    assert drawn[0] == drawn[1] != drawn[2]
