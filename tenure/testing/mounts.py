"""Where the disks of a simulation stand: each below a root folder of its own."""

from __future__ import annotations

import errno
import os
from typing import final

from .disk import Disk


@final
class Mounts:
    """Many disks in one name space: one VFS and one set of file operations serve them all."""

    def __init__(self) -> None:
        """Nothing is mounted."""
        self._disks: dict[str, Disk] = {}
        self._last = 0

    def mount(self, disk: Disk) -> str:
        """Give a disk a root; absolute, so that no code which makes paths absolute leads astray."""
        self._last += 1
        root = f"/machine-{self._last}"
        self._disks[root] = disk
        return root

    def unmount(self, root: str) -> None:
        """Forget a disk. Files that are open on it stay readable to whoever opened them."""
        self._disks.pop(root, None)

    def find(self, path: str) -> tuple[Disk, str]:
        """The disk on which a path stands and its name there, or `FileNotFoundError`."""
        root, _, name = path.removeprefix("/").partition("/")
        disk = self._disks.get(f"/{root}")
        if disk is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return disk, name
