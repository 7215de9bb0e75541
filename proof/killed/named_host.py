"""A host in a forked process, led through pipes, for `proof.names`: its parent removes and replaces its files.

It answers each command with one line. What it says was acknowledged is on disk, whatever becomes of the names.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, final

import trio

import tenure
from tenure.errors import Error
from tenure.persistence.upkeep.backup import back_up
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.verify import runtime_ids, verify_runtime

PATIENCE_S: Final = 60.0
"""Seconds after which a process that does not answer is taken to hang."""

RUNTIME: Final = "a"
LIMITS: Final = tenure.Limits(busy_s=0.1, poll_s=0.02)


@final
class Fork:
    """A child of this process. The parent may have no store open, and no thread."""

    def __init__(self, main: Callable[[int, int], Awaitable[None]], others: Iterable[Fork] = ()) -> None:
        """Fork; `main` gets the descriptors to read commands from and to answer on."""
        commands, self._to_child = os.pipe()
        self._from_child, answers = os.pipe()
        self._rest = b""
        self.pid = os.fork()
        if self.pid:
            os.close(commands)
            os.close(answers)
            return
        try:  # the child
            for descriptor in (end for fork in (self, *others) for end in fork.ends):
                os.close(descriptor)
            trio.run(main, commands, answers)
            os._exit(0)
        except BaseException as exc:  # noqa: BLE001 - a forked child may not go on as its parent
            sys.stderr.write(f"a forked child failed: {exc!r}\n")
            os._exit(1)

    @property
    def ends(self) -> tuple[int, int]:
        """The descriptors of the parent's side."""
        return self._to_child, self._from_child

    def ask(self, command: str) -> str:
        """Say a line, and wait for the answer; ``gone`` where the process has ended."""
        try:
            os.write(self._to_child, f"{command}\n".encode())
        except BrokenPipeError:
            return "gone"
        return self.hear()

    def hear(self) -> str:
        """The next line that it says. Raises `TimeoutError`."""
        while b"\n" not in self._rest:
            if not select.select([self._from_child], [], [], PATIENCE_S)[0]:
                raise TimeoutError("a host does not answer")
            more = os.read(self._from_child, 65536)
            if not more:
                return "gone"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def end(self) -> None:
        """Kill it where it still lives, and wait for its end."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._to_child)
        os.close(self._from_child)


async def behave(run: tenure.Run) -> None:
    """Consume."""
    for entry in run.inputs:
        run.session.append(entry.payload)


def host(path: Path) -> Callable[[int, int], Awaitable[None]]:
    """A host: ``KEY`` accepts an input, an empty line closes."""

    async def main(commands: int, answers: int) -> None:
        def say(line: str) -> None:
            os.write(answers, f"{line}\n".encode())

        try:
            async with tenure.open_supervisor(path, behaviours={"reader": behave}, limits=LIMITS, drain_s=0) as opened:
                say("open")
                with os.fdopen(commands) as lines:
                    while key := (await trio.to_thread.run_sync(lines.readline, abandon_on_cancel=True)).strip():
                        say(await _accept(opened, key))
        except Error as exc:
            say(type(exc).__name__)
        else:
            say("closed")

    return main


async def _accept(opened: tenure.Supervisor, key: str) -> str:
    try:
        if key.startswith("spawn"):
            await opened.spawn(RUNTIME, "reader")
        else:
            await opened.accept(RUNTIME, key, idempotency_key=key)
    except Error as exc:
        return type(exc).__name__
    return "acknowledged"


def look(path: Path) -> Callable[[int, int], Awaitable[None]]:
    """What ``tenure verify`` does; it says ``sound``, or what it found."""

    async def main(_commands: int, answers: int) -> None:
        said = "sound"
        try:
            async with look_into(path, limits=LIMITS) as opened:
                for runtime_id in await opened.read(runtime_ids):
                    found = await opened.read(lambda statements, which=runtime_id: verify_runtime(statements, which))
                    if not found.is_sound:
                        said = f"unsound: {found.problems}"
        except Error as exc:
            said = type(exc).__name__
        os.write(answers, f"{said}\n".encode())

    return main


def copy(path: Path) -> Callable[[int, int], Awaitable[None]]:
    """What ``tenure backup`` does."""

    async def main(_commands: int, answers: int) -> None:
        target = path.with_name("copy")
        target.unlink(missing_ok=True)
        try:
            await back_up(path, target, limits=LIMITS)
            said = "copied"
        except Error as exc:
            said = type(exc).__name__
        os.write(answers, f"{said}\n".encode())

    return main
