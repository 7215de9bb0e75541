"""Servers over the file of a folder, which tests start, kill and ask."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kit.processes import running

from .suite import ROOT


@contextmanager
def serving(app: Path, folder: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A server of `app` in a module over the file of a folder, which it finds in ``FOLDER``: its process, and its address."""
    module = ["--app-dir", app.parent, f"{app.stem}:app"]
    with listening([sys.executable, "-m", "uvicorn", "--port", "0", *module], folder) as (process, url):
        yield process, url


@contextmanager
def listening(command: Sequence[str | Path], folder: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A program in a folder, once it says where it listens."""
    env = os.environ | {"FOLDER": str(folder), "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("w+") as log, running(command, env=env, stderr=log, cwd=folder) as process:
        while (found := re.search(r"running on (http://127\.0\.0\.1:\d+)", (folder / "log").read_text())) is None:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield process, found[1]


def asked(folder: Path) -> list[str]:
    """What the server was asked, as it noted it."""
    return (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []


def run(main: Any) -> None:
    """Run a coroutine function to its end, which comes within minutes."""

    async def bounded() -> None:
        async with asyncio.timeout(240):
            await main()

    asyncio.run(bounded())
