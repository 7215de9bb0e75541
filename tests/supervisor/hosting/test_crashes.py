"""Hosts that die by SIGKILL: what was acknowledged is there, and a crash is charged to the run that caused it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import tenure
from tests.architecture.tree import ROOT
from tests.kit.hosting import (
    consumed,
    echo,
    nothing,
    peek,
)
from tests.kit.processes import running
from tests.kit.shares import share

pytestmark = pytest.mark.process

HOST = Path(__file__).with_name("crashing_host.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def run_host(database: Path, mode: str) -> tuple[int, list[str]]:
    command = [sys.executable, str(HOST), str(database), mode]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout.splitlines()


def accept_until_killed(database: Path, enough: int) -> list[int]:
    """The keys of the inputs whose accept returned, before a kill that comes after `enough` of them."""
    command = [sys.executable, str(HOST), str(database), "accept"]
    with running(command, env=ENVIRONMENT) as child:
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(enough)]
        child.kill()
        return acknowledged + [int(line) for line in child.stdout if line.endswith("\n")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", share(range(6), 6))
async def test_every_input_that_was_acknowledged_before_a_kill_is_there_after_it(database: Path, seed: int) -> None:
    acknowledged = accept_until_killed(database, random.Random(seed).randrange(20, 200))
    async with tenure.open_supervisor(database, behaviours={"kind": echo}) as supervisor:
        for n in acknowledged:
            ticket = await supervisor.ticket("abc"[n % 3], idempotency_key=str(n))
            assert (await ticket.wait_outcome()).phase == "consumed"
        found = [message["n"] for name in "abc" for message in await supervisor.read_session(name)]

    assert acknowledged == list(range(len(acknowledged)))
    # Each once; at most one more than was told, for the child could die between the two.
    assert sorted(found) in (acknowledged, [*acknowledged, len(acknowledged)])


@pytest.mark.parametrize("drawn", [0.0, 0.9])
async def test_of_all_that_a_host_recovers_the_one_with_the_most_crashes_is_tried_last(
    database: Path, monkeypatch: pytest.MonkeyPatch, drawn: float
) -> None:
    for mode in ("alone", "crash", "go-on"):
        assert run_host(database, mode)[0] == -signal.SIGKILL
    # Trio begins the tasks of one turn in their order, or the other way round.
    monkeypatch.setattr("trio._core._run._r.random", lambda: drawn)
    begun: list[str] = []
    all_have_begun = trio.Event()

    async def kind(run: tenure.Run) -> None:
        begun.append(run.runtime_id)
        if len(begun) == 3:
            all_have_begun.set()

    limits = tenure.Limits(group_commits=1)  # each is taken over by itself
    async with tenure.open_supervisor(database, behaviours={"innocent": kind, "poison": kind}, limits=limits):
        await all_have_begun.wait()

    assert (sorted(begun), begun[-1]) == (["a", "p", "z"], "p")


@pytest.mark.turns(4)
@pytest.mark.slow
async def test_a_run_that_kills_its_host_is_held_at_the_fifth_crash_and_the_innocent_get_through(
    database: Path,
) -> None:
    ends: list[int] = []
    lines: list[str] = []
    charged: list[int] = []
    blamed: list[int] = []
    code, _ = run_host(database, "crash")
    ends.append(code)
    while len(ends) < 10 and ends[-1] != 0:
        code, printed = run_host(database, "go-on")
        ends.append(code)
        lines += printed
        [[crashes]] = peek(database, "SELECT crashes FROM runtimes WHERE runtime_id = 'p'")
        charged.append(crashes)
        blamed += [count for [count] in peek(database, "SELECT crashes FROM runtimes WHERE runtime_id <> 'p'")]

    # Charged at each takeover; at 5 it is held and the host lives.
    assert ends == [-signal.SIGKILL] * 5 + [0]
    assert charged == [1, 2, 3, 4, 5]
    assert lines[-1] == "held crash loop"
    # The innocent were in flight at the first crash and perhaps at the second; from then on each goes alone.
    assert {line for line in lines if line.endswith("consumed")} == {"a consumed", "z consumed"}
    assert max(blamed) <= 2
    assert (
        lines.index("z consumed") < len(lines) - lines[::-1].index("poisoned") - 1
    )  # who has fewer crashes goes first
    assert peek(database, "SELECT max(attempts) FROM inputs") == [[0]]

    # A person mends the behaviour and resumes.
    async with tenure.open_supervisor(database, behaviours={"poison": nothing}) as supervisor:
        runtime = await supervisor.spawn("p", "poison")
        held = runtime.held
        await runtime.resume()
        outcome = await (await supervisor.ticket("p", idempotency_key="k")).wait_outcome()

    assert held == "crash loop"
    assert outcome.phase == "consumed"
    assert peek(database, "SELECT max(crashes) FROM runtimes") == [[0]]


@pytest.mark.slow
async def test_runs_on_trial_start_one_after_another_however_many_a_host_spawns_at_once(database: Path) -> None:
    for _ in range(2):
        assert run_host(database, "crash")[0] == -signal.SIGKILL
    together: list[int] = []
    running = 0

    async def behaviour(run: tenure.Run) -> None:
        nonlocal running
        running += 1
        together.append(running)
        await trio.sleep(0.05)
        running -= 1

    behaviours = {"innocent": behaviour, "poison": behaviour, "quiet": nothing}
    async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
        for name, kind in (("a", "innocent"), ("p", "poison"), ("z", "innocent")):
            await supervisor.spawn(name, kind)
        # Who was not in flight works meanwhile.
        await consumed(await supervisor.spawn("new", "quiet"), "go")
        for name in ("a", "p", "z"):
            assert (await (await supervisor.ticket(name, idempotency_key="k")).wait_outcome()).phase == "consumed"

    assert together == [1, 1, 1]
