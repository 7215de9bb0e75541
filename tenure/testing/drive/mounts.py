"""Where the disks of a simulation stand: each below its own root folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import final

from .disk import Disk


@final
class Mounts:
    """Many disks in one name space: one VFS and one set of file operations serve them all."""

    def __init__(self) -> None:
        """Nothing is mounted."""
        self._disks: dict[str, Disk] = {}
        self._memories: dict[Disk, Path] = {}
        self._last = 0

    def mount(self, disk: Disk, memory: Path | None = None) -> str:
        """Give a disk a root; absolute, so that no code which makes paths absolute leads astray.

        Args:
            disk: The disk.
            memory: A real folder for what connections to one database share. None: a database has one connection at a time.
        """
        self._last += 1
        root = f"/machine-{self._last}"
        self._disks[root] = disk
        if memory is not None:
            self._memories[disk] = memory
        return root

    def memory_of(self, disk: Disk) -> Path | None:
        """Where connections to a database on this disk share their memory."""
        return self._memories.get(disk)

    def unmount(self, root: str) -> None:
        """Forget a disk. Files that are open on it stay readable to the programs that opened them."""
        disk = self._disks.pop(root, None)
        if disk is not None and disk not in self._disks.values():
            self._memories.pop(disk, None)

    def find(self, path: str) -> tuple[Disk, str]:
        """The disk on which a path stands and its name there, or `FileNotFoundError`."""
        root, _, name = path.removeprefix("/").partition("/")
        disk = self._disks.get(f"/{root}")
        if disk is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return disk, name
