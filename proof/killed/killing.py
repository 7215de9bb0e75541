"""What the commands that kill real hosts share: options, one life of a host, and the error of a promise that was not kept."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final

PATIENCE_S: Final = 120.0
"""Seconds after which a child that neither died nor ended is called stuck."""


@final
class PromiseNotKept(AssertionError):
    """Something was lost, doubled or stuck."""


def expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - as assert
    """Raise `PromiseNotKept` where something does not hold."""
    if not holds:
        raise PromiseNotKept(otherwise)


def live(
    module: str, hear: Callable[[str, list[Any]], None], plan: Path, folder: Path, dies_after_s: float | None
) -> int:
    """Let a child live its life, hear what it says, and say how it ended."""
    command = [sys.executable, "-m", module, str(plan)]
    with (
        (folder / "errors.txt").open("ab") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as child,  # noqa: S603 - this very package
        contextlib.ExitStack() as timers,
    ):
        killer = threading.Timer(PATIENCE_S, child.kill)
        timers.callback(killer.cancel)
        killer.start()
        for line in child.stdout or ():
            if not line.endswith(b"\n"):
                break  # cut off in the middle of a word
            if dies_after_s is not None:
                early = threading.Timer(dies_after_s, child.kill)
                timers.callback(early.cancel)
                early.start()
                dies_after_s = None
            kind, *facts = json.loads(line)
            hear(kind, facts)
        code = child.wait()
        expect(killer.is_alive(), f"the host of {plan} was stuck for {PATIENCE_S} s")
        return code


def kill(
    arguments: Sequence[str] | None,
    program: str,
    about: str | None,
    run: Callable[[int, int, Path, Callable[[int], None]], object],
    kills: int,
) -> int:
    """The command: kill and print what `run` reports. The exit code is 1 where a promise was not kept.

    Args:
        arguments: Of the command line.
        program: The module.
        about: Its help.
        run: Takes how many kills, the seed, a folder, and what hears how many there were.
        kills: How many there are where none are asked for.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    parser.add_argument("--kills", type=int, default=kills, help=f"how many ({kills})")
    parser.add_argument(
        "--seed", type=int, default=0, help="of what is drawn (0); when a kill strikes is the machine's choice"
    )
    asked = parser.parse_args(arguments)
    began = time.perf_counter()

    def heard(count: int) -> None:
        if count % max(asked.kills // 20, 1) == 0:
            sys.stdout.write(f"{count}/{asked.kills} kills\n")
            sys.stdout.flush()

    folder = Path(tempfile.mkdtemp(prefix="tenure-kills-"))
    try:
        report = run(asked.kills, asked.seed, folder, heard)
    except PromiseNotKept as exc:
        sys.stdout.write(f"{exc}\nthe database is kept in {folder}\n")
        return 1
    shutil.rmtree(folder)
    sys.stdout.write(f"{report}; {time.perf_counter() - began:.1f} s\n")
    return 0
