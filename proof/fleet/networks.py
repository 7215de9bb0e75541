"""Networks of hosts: each host has a namespace and a cable to the server, which can be pulled and put in again. Needs root.

A cable is a pair of interfaces. While the end on the server's side is down, nothing that is sent arrives and nothing is
refused: neither side hears of it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, final
from urllib.parse import urlsplit, urlunsplit

from attrs import frozen

NETWORK: Final = "10.213"
"""The first half of the addresses; each cable has four of them."""

MOST: Final = 250

HBA: Final = "local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all 10.213.0.0/16 trust\n"
"""Who may come in to a server that only this machine reaches."""


@final
@frozen(kw_only=True, slots=True)
class Cable:
    """The way of one host to the server.

    Attributes:
        namespace: Where the host lives.
        interface: The end on the server's side.
        address: The server's, as that host sees it.
    """

    namespace: str
    interface: str
    address: str

    def url(self, url: str) -> str:
        """The URL of the server as the host has it."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{parts.username}@{self.address}:{parts.port}"))

    def command(self, command: Sequence[str]) -> list[str]:
        """The same command inside."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def pull(self) -> None:
        """From now on nothing arrives, on either side."""
        _ip("link", "set", self.interface, "down")

    def put_in(self) -> None:
        """What is sent again from now on arrives."""
        _ip("link", "set", self.interface, "up")


@final
class Networks:
    """The cables of a fleet, each made for a host that comes."""

    def __init__(self) -> None:
        """None yet."""
        self._left = ExitStack()
        self._made = 0

    def make(self) -> Cable:
        """Another namespace with a cable."""
        number, self._made = self._made % MOST, self._made + 1
        namespace = f"tenure-{os.getpid()}-{self._made}"
        near, far = f"tn{os.getpid() % 100_000}x{number}", f"tf{os.getpid() % 100_000}x{number}"
        here, there = f"{NETWORK}.{number}.1", f"{NETWORK}.{number}.2"
        _ip("netns", "add", namespace)
        self._left.callback(_remove, namespace)
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", namespace)
        _ip("addr", "add", f"{here}/30", "dev", near)
        _ip("link", "set", near, "up")
        for words in (
            ["addr", "add", f"{there}/30", "dev", far],
            ["link", "set", far, "up"],
            ["link", "set", "lo", "up"],
        ):
            _ip("-n", namespace, *words)
        return Cable(namespace=namespace, interface=near, address=here)

    def close(self) -> None:
        """Take away what was made; the hosts are gone."""
        self._left.close()


@contextmanager
def networks() -> Generator[Networks]:
    """Networks that are taken away in the end. Raises `RuntimeError` where this process may not make them."""
    made = Networks()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def reached_by_hosts() -> Generator[Mapping[str, str]]:
    """Settings of a server that lets the hosts of these networks in."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hba.conf"
        path.write_text(HBA)
        path.chmod(0o644)
        path.parent.chmod(0o755)  # the server may run as another user
        yield {"listen_addresses": "*", "hba_file": str(path)}


def _remove(namespace: str) -> None:
    with suppress(RuntimeError):  # what keeps a process of its own goes with that
        _ip("netns", "del", namespace)  # and both ends of the cable with it


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)  # noqa: S603, S607 - the system's own
    if done.returncode:
        message = f"ip {' '.join(words)}: {done.stderr.strip()}; network namespaces need root and iproute2"
        raise RuntimeError(message)
