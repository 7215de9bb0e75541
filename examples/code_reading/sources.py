"""The files that agents read: where they are, and which agent reads which."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final, TypedDict, final

import attrs

MAX_AGENT_NAME: Final = 160
"""Longer agent names are cut and get a digest; a runtime id ends at 200 characters."""

_SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "site-packages", "dist-packages", "node_modules"})


class FileInput(TypedDict):
    """One file to read, as the host hands it to an agent: all that the agent gets."""

    root: str
    path: str
    size: int
    digest: str


@final
@attrs.frozen(slots=True, kw_only=True)
class SourceFile:
    """One file that was found, with the agent that shall read it."""

    root: str
    path: str
    agent: str
    size: int
    digest: str

    def as_input(self) -> FileInput:
        """Give the JSON value that becomes the agent's input."""
        return FileInput(root=self.root, path=self.path, size=self.size, digest=self.digest)


def find_files(root: Path) -> list[SourceFile]:
    """Find every `.py` file under `root`, sorted by path.

    Installed packages, virtual environments and hidden folders are left out, and so are file names
    that are no UTF-8, which no JSON value can hold. Links to folders are not followed. An
    unreadable file is found, and its agent will report it.
    """
    files: list[SourceFile] = []
    for folder, subfolders, entries in os.walk(root):
        subfolders[:] = [name for name in subfolders if not _is_skipped(Path(folder, name))]
        for entry in entries:
            place = Path(folder, entry)
            path = place.relative_to(root).as_posix()
            if place.suffix == ".py" and _is_utf8(path):
                files.append(_found(root, path))
    return sorted(files, key=lambda file: file.path)


def agent_of(path: str) -> str:
    """Name the agent that reads `path`: one for each folder and for each top-level module."""
    folder, _, file_name = path.rpartition("/")
    name = f"package:{folder}" if folder else f"module:{file_name.removesuffix('.py')}"
    if len(name) <= MAX_AGENT_NAME:
        return name
    return f"{name[:MAX_AGENT_NAME]}#{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _found(root: Path, path: str) -> SourceFile:
    data = read_bytes(root / path)
    return SourceFile(
        root=str(root),
        path=path,
        agent=agent_of(path),
        size=0 if data is None else len(data),
        digest=digest_of(data),
    )


def read_bytes(place: Path) -> bytes | None:
    """Read a file; None when it cannot be opened."""
    try:
        return place.read_bytes()
    except OSError:
        return None


def digest_of(data: bytes | None) -> str:
    """Digest what was read; empty for a file that cannot be opened."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def _is_skipped(folder: Path) -> bool:
    name = folder.name
    return name in _SKIPPED_FOLDERS or name.startswith(".") or (folder / "pyvenv.cfg").exists()


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
