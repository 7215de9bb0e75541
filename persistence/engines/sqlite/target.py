"""What names a SQLite store: a path, ``sqlite:///path``, or ``:memory:``."""

from __future__ import annotations

import os
from typing import Final

from tenure.errors import InvalidInput

MEMORY: Final = ":memory:"


def path_of(text: str) -> str:
    """The path of a store, the same for every way to it, or `MEMORY`.

    Locks and log stand beside the file: a path through a link, or one that is relative where the process goes elsewhere, would
    have its own.

    Raises:
        InvalidInput: No path.
    """
    scheme, separator, rest = text.partition("://")
    if separator:
        if rest and not rest.startswith("/"):
            raise InvalidInput(detail=f"{text!r} names a host; write {scheme}:///path", field="target")
        text = rest.removeprefix("/") or MEMORY
    if not text or "\0" in text:
        raise InvalidInput(detail="a path is not empty and has no NUL character", field="target")
    return text if text == MEMORY else os.path.realpath(text)


def new_path_of(text: str) -> str:
    """The path of a file that is to be made: as `path_of`, but a link that has its name is not followed. Raises as that."""
    path = path_of(text)
    if path == MEMORY:
        raise InvalidInput(detail="a copy is a file", field="target")
    folder, name = os.path.split(text.partition("://")[2].removeprefix("/") if "://" in text else text)
    return f"{os.path.realpath(folder)}/{name}" if name else path
