"""Which file system a path is on, and whether SQLite can rely on it.

The log of SQLite is shared through a memory map, and its locks are those of the system: over a network neither can be trusted.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tenure.errors import CannotOpen, NetworkFileSystem
from tenure.persistence.engines.sqlite.opening.preflight import BESIDE

LINUX_TABLE: Final = Path("/proc/self/mounts")

UNRELIABLE: Final = frozenset(
    {
        *("nfs", "nfs3", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "afs", "ncpfs", "9p", "webdav", "davfs"),
        *("ceph", "glusterfs", "lustre", "beegfs", "gpfs", "gfs2", "orangefs", "acfs", "vboxsf", "vmhgfs", "prl_fs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.goofys"),
        *("fuse.gcsfuse", "fuse.mount-s3", "fuse.davfs2", "fuse.vmhgfs-fuse", "fuse.curlftpfs", "macfuse", "osxfuse"),
    }
)
"""File systems that are not on this machine, or do not keep what a memory map and a lock promise."""

_ESCAPED = re.compile(r"\\([0-7]{3})")
_DARWIN_LINE = re.compile(r"^.* on (?P<folder>/.*) \((?P<kind>[^,)]+)")

Mount = tuple[str, str]
"""Folder and kind of file system."""


def check_file_system(path: str) -> None:
    """Look at what is mounted; a system that does not say passes.

    Raises:
        NetworkFileSystem: The path is on one.
        CannotOpen: A file of the store is a mount point itself.
    """
    mounts = read_mounts()
    kind = file_system_of(path, mounts)
    if kind in UNRELIABLE:
        raise NetworkFileSystem(path=path, kind=kind)
    check_not_mounted(path, mounts)


def check_not_mounted(path: str, mounts: Iterable[Mount]) -> None:
    """Raises `CannotOpen` where the database, or a file beside it, is mounted by itself.

    Then the file has another path too, where another process finds it, with another lock and another log beside it.
    """
    names = {path, *(f"{path}{end}" for end in BESIDE)}
    for folder, _ in mounts:
        if folder in names:
            detail = f"{folder} is mounted by itself, as with `docker run -v FILE:FILE`; mount its folder instead"
            raise CannotOpen(path=path, detail=detail)


def file_system_of(path: str, mounts: Iterable[Mount]) -> str:
    """The kind of the file system that a path is on: that of the longest mount above it; a later one covers an earlier one."""
    longest, found = -1, "unknown"
    for folder, kind in mounts:
        above = folder.rstrip("/") + "/"
        if (path + "/").startswith(above) and len(above) >= longest:
            longest, found = len(above), kind
    return found


def read_mounts() -> list[Mount]:
    """What the system says is mounted; nothing where it cannot be asked."""
    try:
        if LINUX_TABLE.exists():
            return parse_linux(LINUX_TABLE.read_text(errors="surrogateescape"))
        if sys.platform == "darwin":
            output = subprocess.run(["/sbin/mount"], capture_output=True, check=True, text=True, timeout=10).stdout
            return parse_darwin(output)
    except (OSError, subprocess.SubprocessError):
        return []
    return []


def parse_linux(table: str) -> list[Mount]:
    """Read ``/proc/self/mounts``: device, folder, kind, ...; blanks in a folder are octal escapes."""
    found: list[Mount] = []
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) > 2:  # noqa: PLR2004 - the first three fields
            folder = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), fields[1])
            found.append((folder, fields[2]))
    return found


def parse_darwin(output: str) -> list[Mount]:
    """Read what ``mount`` prints on macOS: device ``on`` folder ``(``kind``, ...)``."""
    lines = (_DARWIN_LINE.match(line) for line in output.splitlines())
    return [(line["folder"], line["kind"]) for line in lines if line is not None]
