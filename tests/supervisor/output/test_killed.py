"""Output under SIGKILL: a reader sees every position once and none left out, and holds in the end what was said once."""

from __future__ import annotations

import random
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tests.architecture.tree import ROOT
from tests.kit.outputs import heard
from tests.kit.processes import running

from .speaker import THREADS, WORDS

pytestmark = [pytest.mark.slow, pytest.mark.process]

KILLS = 3


async def test_a_reader_sees_each_position_once_while_the_host_is_killed_and_keeps_what_was_kept(
    database: Path,
) -> None:
    source = random.Random(1)
    command = [sys.executable, "-m", "tests.supervisor.output.speaker", database]
    seen = list[tenure.OutputEntry]()
    with trio.fail_after(240), ExitStack() as stack:
        async with tenure.open_supervisor(database, behaviours={}, durability="os") as supervisor:
            ticket = await supervisor.accept("alice", "go", kind="speaker")
            reader = (await supervisor.find("alice")).follow()
            for kills in range(KILLS + 1):
                process = stack.enter_context(running(command, cwd=ROOT))
                assert process.stdout is not None
                await trio.to_thread.run_sync(process.stdout.readline)
                words = 0
                until = source.randrange(60, 300) if kills < KILLS else 10**9
                while words < until:
                    entry = await anext(reader)
                    seen.append(entry)
                    words += entry.kind is tenure.OutputKind.DATA
                    if entry.kind is tenure.OutputKind.ENDED:
                        break
                process.kill()
                await trio.to_thread.run_sync(process.wait)
                if seen[-1].kind is tenure.OutputKind.ENDED:
                    break
            assert seen[-1].value == "finished"
            claim = await supervisor.ticket("alice", input_id=ticket.input_id)
            alice = await supervisor.find("alice")
            stored = [entry async for entry in alice.follow(ticket=claim)]
            assert seen == stored
            assert [each.position for each in stored] == sorted({each.position for each in stored})
            for place in source.sample(range(len(stored)), 20):
                after = [entry async for entry in alice.follow(stored[place].position, ticket=claim)]
                assert after == stored[place + 1 :]
    assert [each.kind for each in stored].count(tenure.OutputKind.RESTARTED) >= 1
    check_said_once(heard(stored))
    check_kept_is_never_dropped(stored)


def check_said_once(values: list[Any]) -> None:
    """Every word of every thread once and in the order of its thread, and around them what the behaviour says."""
    assert values[0] == "begins"
    assert values[-1] == "ends"
    rest = values[1:-1]
    for name in "ab":
        order = [each for each in rest if each[0][0] == name]
        for turn in range(4):
            mine = order[turn * (THREADS * WORDS + 1) : (turn + 1) * (THREADS * WORDS + 1)]
            assert mine[0] == [name, "says", turn]
            for thread in range(THREADS):
                assert [each[2] for each in mine[1:] if each[1] == thread] == list(range(WORDS))
    assert len(rest) == 2 * 4 * (THREADS * WORDS + 1)


def check_kept_is_never_dropped(entries: list[tenure.OutputEntry]) -> None:
    """Where a branch has gone on to its next step, no later entry drops what it said before."""
    for at, entry in enumerate(entries):
        if entry.kind is not tenure.OutputKind.RESTARTED:
            continue
        assert entry.drop_after is not None
        before = [each for each in entries[:at] if said_in(each) is not None]
        begun = {said_in(each) for each in before}
        for each in before:
            found = said_in(each)
            if found is not None and each.position > entry.drop_after and entry.place in ("", each.place):
                assert f"{found[0]}{int(found[1:]) + 1}" not in begun, "what is kept was dropped"


def said_in(entry: tenure.OutputEntry) -> str | None:
    """The step in which a word was said."""
    value: Any = entry.value
    return str(value[0]) if isinstance(entry.value, list) and value[1] != "says" else None
