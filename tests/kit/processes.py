"""Child processes of tests: their waits are bounded, and they end with the test, whatever it raises."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import IO, Any

PATIENCE_S = 300.0
"""So long may a child live, on a machine that other work shares. A read of what it prints ends with it."""


@contextmanager
def running(
    command: Sequence[object],
    *,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | IO[Any] | None = subprocess.PIPE,
    stderr: int | IO[Any] | None = None,
    **more: Any,
) -> Generator[subprocess.Popen[str]]:
    """Start a program that prints text, and end it with the block, or after `PATIENCE_S`."""
    process = subprocess.Popen(
        [str(each) for each in command], stdin=stdin, stdout=stdout, stderr=stderr, text=True, **more
    )
    killer = threading.Timer(PATIENCE_S, process.kill)
    killer.daemon = True
    killer.start()
    try:
        yield process
    finally:
        killer.cancel()
        process.kill()
        process.wait(PATIENCE_S)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
