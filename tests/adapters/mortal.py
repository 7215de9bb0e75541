"""Hosts that are killed at one point after the other, and begun again each time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

from tests.kit.processes import running
from tests.kit.shares import TURN, sparse

from .suite import ROOT

Life = dict[str, Any]


class Points:
    """Where this process may die; at one of them it does."""

    def __init__(self, die_at: int) -> None:
        self._die_at = die_at
        self._passed = 0

    def point(self) -> None:
        self._passed += 1
        if self._passed == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, kind: type[Any], *names: str) -> None:
        """Make points before and after some coroutines of a class. This process is of one life, and ends with it."""
        for name in names:
            setattr(kind, name, self._around(getattr(kind, name)))

    def _around(self, verb: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(verb)
        async def between(*args: Any, **named: Any) -> Any:
            self.point()
            result = await verb(*args, **named)
            self.point()
            return result

        return between


EVERY = sparse(1, 3)
"""One of so many points is taken in a turn, each in so many turns."""

Work = Callable[[Path, Points], Awaitable[str]]
"""One life of a host and its client in a folder; what it says in the end."""


def die_at_every_point(work: Work, folder: Path, *, every: int = EVERY) -> None:
    """Print a line of JSON for each point of this turn: whether a life died there, and how the next one ended.

    Where it is cheap, `every` 1 takes all points in each turn.
    """
    die_at = 0
    while True:
        place = folder / str(die_at)
        place.mkdir()
        status, said = _live(work, place, die_at)
        died = os.WIFSIGNALED(status)
        if died:
            status, said = _live(work, place, 0)
        sys.stdout.write(json.dumps({"point": die_at, "died": died, "status": status, "said": said}) + "\n")
        sys.stdout.flush()
        if die_at and not died:
            return
        die_at = die_at + every if die_at else 1 + TURN % every


def _live(work: Work, folder: Path, die_at: int) -> tuple[int, str]:
    """One life in a process of its own, forked from here where everything is imported: its status, and what it said."""
    child = os.fork()
    if not child:
        try:
            said, status = asyncio.run(_bounded(work, folder, die_at)), 0
        except BaseException as exc:  # noqa: BLE001 - the parent shows it
            said, status = repr(exc), 1
        (folder / "said").write_text(said)
        os._exit(status)
    status = os.waitpid(child, 0)[1]
    return status, (folder / "said").read_text() if (folder / "said").exists() else ""


async def _bounded(work: Work, folder: Path, die_at: int) -> str:
    async with asyncio.timeout(60):
        return await work(folder, Points(die_at))


def lives_of(program: Path, folder: Path) -> list[Life]:
    """The lives of a program that calls `die_at_every_point`: the first and the last died of nothing, the others once."""
    with running([sys.executable, program, folder], env=os.environ | {"PYTHONPATH": str(ROOT)}) as host:
        assert host.stdout is not None
        lives: list[Life] = [json.loads(line) for line in host.stdout]
        assert host.wait() == 0
    assert [life["died"] for life in lives] == [False, *[True] * (len(lives) - 2), False]
    assert [life for life in lives if life["status"] != 0] == []
    return lives


class Notes:
    """What a client has heard, and what the world was told, in files that no crash takes back."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, text: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{text}\n")

    def read(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []
