"""Starts hosts in processes of their own, tells them what to do, and hears what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, final

import trio

PROGRAM = Path(__file__).with_name("child.py")
ROOT = PROGRAM.parents[2]


@final
class Child:
    """One of them. Waiting for an event reads its lines until the event comes."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._rest = b""

    async def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(f"{command}\n".encode())

    async def wait_event(self, event: str) -> dict[str, Any]:
        """The next event of this name; those before it are passed by, but a refusal is not."""
        while True:
            told = json.loads(await self._read_line())
            if told["event"] == event:
                return dict(told)
            assert told["event"] != "refused", told

    async def ask(self, command: str, event: str) -> dict[str, Any]:
        await self.tell(command)
        return await self.wait_event(event)

    async def freeze(self) -> None:
        """Stop the process and wait until the system says that it has stopped."""
        os.kill(self._process.pid, signal.SIGSTOP)
        await self.wait_frozen()

    async def wait_frozen(self) -> None:
        def wait() -> int:
            return os.waitpid(self._process.pid, os.WUNTRACED)[1]

        status = await trio.to_thread.run_sync(wait, abandon_on_cancel=True)
        assert os.WIFSTOPPED(status)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    async def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def wait_killed(self) -> None:
        assert await self._process.wait() == -signal.SIGKILL

    async def close(self) -> None:
        """Let it come to its own end."""
        assert self._process.stdin is not None
        await self._process.stdin.aclose()
        await self.wait_event("closed")
        assert await self._process.wait() == 0

    async def _read_line(self) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._rest:
            more = await self._process.stdout.receive_some()
            assert more, "the child has ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line


@asynccontextmanager
async def child(
    database: Path | str, limits: Mapping[str, float] | None = None, *, die_in_commit: int | None = None
) -> AsyncGenerator[Child]:
    """A child; it is killed where it still lives in the end."""
    command = [sys.executable, str(PROGRAM), str(database), json.dumps(dict(limits or {}))]
    if die_in_commit is not None:
        command.append(str(die_in_commit))
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        yield Child(process)
    finally:
        with trio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            await process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    await stream.aclose()
