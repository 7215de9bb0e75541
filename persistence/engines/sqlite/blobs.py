"""The bytes of attachments: files under their digest, in a folder beside the database; or in memory beside one in memory."""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from tenure.persistence.engines.sqlite.system.files import Files, folder_of

from .opening.preflight import check_attachments_folder, mapped_os_errors

_MADE: Final = "made-"
"""How the names begin of files that are being written."""

_TAKEN: Final = "taken-"
"""How the names begin of files that are being removed; who removes them follows, and what they were."""

_NAME: Final = re.compile(r"[0-9a-f]{64}|~[A-Za-z0-9_-]{64}")
"""The name of what was kept: a digest, or a sealed one. All else is not ours: ``lost+found`` where a disk is mounted."""


@final
class FolderBlobs:
    """See `Blobs`."""

    def __init__(self, folder: str, files: Files) -> None:
        """Make nothing yet; the folder comes with its first file."""
        self._folder = folder
        self._files = files

    def begin(self, made: str) -> None:
        """See `Blobs.begin`."""
        check_attachments_folder(self._folder)
        with mapped_os_errors(self._folder):
            if not self._files.is_folder(self._folder):
                self._files.make_folder(self._folder)
                self._files.sync_folder(folder_of(self._folder))
            self._files.create(self._path(_MADE + made))

    def write(self, made: str, offset: int, data: bytes) -> None:
        """See `Blobs.write`."""
        with mapped_os_errors(self._folder):
            self._files.write_at(self._path(_MADE + made), offset, data)

    def keep(self, made: str, digest: str) -> None:
        """See `Blobs.keep`. What has the name is replaced: it is the same bytes, and perhaps not on disk."""
        with mapped_os_errors(self._folder):
            self._files.sync(self._path(_MADE + made))
            self._files.rename(self._path(_MADE + made), self._path(digest))
            self._files.sync_folder(self._folder)

    def replace(self, made: str, digest: str) -> None:
        """See `Blobs.replace`."""
        self.keep(made, digest)

    def drop(self, made: str) -> None:
        """See `Blobs.drop`."""
        with suppress(OSError):  # it never began, or was kept; what stays is unfinished
            self._files.remove(self._path(_MADE + made))

    def read(self, digest: str, offset: int, amount: int) -> bytes | None:
        """See `Blobs.read`."""
        with mapped_os_errors(self._folder):
            path = self._path(digest)
            return self._files.read_at(path, offset, amount) if self._files.exists(path) else None

    def exists(self, digest: str) -> bool:
        """See `Blobs.exists`."""
        with mapped_os_errors(self._folder):
            return self._files.exists(self._path(digest))

    def remove(self, digest: str) -> None:
        """See `Blobs.remove`."""
        with mapped_os_errors(self._folder):
            if self._files.exists(self._path(digest)):
                self._files.remove(self._path(digest))
                self._files.sync_folder(self._folder)

    def take(self, digest: str, taker: str) -> None:
        """See `Blobs.take`."""
        with (
            mapped_os_errors(self._folder),
            suppress(FileNotFoundError),
        ):  # another taker, or who removes it, was quicker
            self._files.rename(self._path(digest), self._taken(digest, taker))

    def give_back(self, digest: str, taker: str) -> None:
        """See `Blobs.give_back`."""
        taken = self._taken(digest, taker)
        with mapped_os_errors(self._folder), suppress(FileNotFoundError):  # who removes all of it was quicker
            try:
                self._files.place(taken, self._path(digest))
            except FileExistsError:
                self._files.remove(taken)
            self._files.sync_folder(self._folder)

    def drop_taken(self, digest: str, taker: str) -> None:
        """See `Blobs.drop_taken`."""
        with mapped_os_errors(self._folder), suppress(FileNotFoundError):
            self._files.remove(self._taken(digest, taker))
            self._files.sync_folder(self._folder)

    def taken(self) -> list[tuple[str, str]]:
        """See `Blobs.taken`."""
        found = [name.removeprefix(_TAKEN).rpartition(".") for name in self._names() if name.startswith(_TAKEN)]
        return [(digest, taker) for taker, _, digest in found if _NAME.fullmatch(digest)]

    def names(self) -> list[str]:
        """See `Blobs.names`."""
        return [name for name in self._names() if _NAME.fullmatch(name)]

    def unfinished(self) -> list[str]:
        """See `Blobs.unfinished`."""
        return [name.removeprefix(_MADE) for name in self._names() if name.startswith(_MADE)]

    def _names(self) -> list[str]:
        with mapped_os_errors(self._folder):
            return self._files.list_folder(self._folder) if self._files.is_folder(self._folder) else []

    def _taken(self, digest: str, taker: str) -> str:
        return self._path(f"{_TAKEN}{taker}.{digest}")

    def _path(self, name: str) -> str:
        return str(Path(self._folder) / name)


@final
class MemoryBlobs:
    """See `Blobs`: they live as long as the store."""

    def __init__(self) -> None:
        """Nothing is stored."""
        self._made: defaultdict[str, bytearray] = defaultdict(bytearray)
        self._kept: dict[str, bytes] = {}
        self._taken: dict[tuple[str, str], bytes] = {}

    def begin(self, made: str) -> None:
        """See `Blobs.begin`."""
        self._made[made] = bytearray()

    def write(self, made: str, offset: int, data: bytes) -> None:
        """See `Blobs.write`."""
        self._made[made][offset : offset + len(data)] = data

    def keep(self, made: str, digest: str) -> None:
        """See `Blobs.keep`."""
        self._kept[digest] = bytes(self._made.pop(made))

    def replace(self, made: str, digest: str) -> None:
        """See `Blobs.replace`."""
        self.keep(made, digest)

    def drop(self, made: str) -> None:
        """See `Blobs.drop`."""
        self._made.pop(made, None)

    def read(self, digest: str, offset: int, amount: int) -> bytes | None:
        """See `Blobs.read`."""
        found = self._kept.get(digest)
        return None if found is None else found[offset : offset + amount]

    def exists(self, digest: str) -> bool:
        """See `Blobs.exists`."""
        return digest in self._kept

    def remove(self, digest: str) -> None:
        """See `Blobs.remove`."""
        self._kept.pop(digest, None)

    def take(self, digest: str, taker: str) -> None:
        """See `Blobs.take`."""
        if digest in self._kept:
            self._taken[digest, taker] = self._kept.pop(digest)

    def give_back(self, digest: str, taker: str) -> None:
        """See `Blobs.give_back`."""
        if (taken := self._taken.pop((digest, taker), None)) is not None:
            self._kept.setdefault(digest, taken)

    def drop_taken(self, digest: str, taker: str) -> None:
        """See `Blobs.drop_taken`."""
        self._taken.pop((digest, taker), None)

    def taken(self) -> list[tuple[str, str]]:
        """See `Blobs.taken`."""
        return sorted(self._taken)

    def names(self) -> list[str]:
        """See `Blobs.names`."""
        return sorted(self._kept)

    def unfinished(self) -> list[str]:
        """See `Blobs.unfinished`."""
        return sorted(self._made)
