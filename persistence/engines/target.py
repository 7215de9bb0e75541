"""What names a store: a path, a URL, or ``:memory:``."""

from __future__ import annotations

import os
from typing import Final

from tenure.errors import InvalidInput, Unsupported
from tenure.persistence.model.arguments import is_a

MEMORY: Final = ":memory:"


def path_of(target: str | os.PathLike[str]) -> str:
    """The path of a store, the same for every way to it, or `MEMORY`.

    Locks and log stand beside the file: a path through a link, or one that is relative where the process goes elsewhere, would
    have its own.

    Raises:
        Unsupported: A URL that this version has no engine for.
        InvalidInput: No path.
    """
    try:
        text = os.fspath(target)
    except TypeError as exc:
        raise InvalidInput(detail=str(exc), field="target") from exc
    if not is_a(text, str):
        raise InvalidInput(detail="a path is text, and not bytes", field="target")
    scheme, separator, rest = text.partition("://")
    if separator:
        if scheme != "sqlite":
            raise Unsupported(what=f"the engine of {scheme}://")
        if rest and not rest.startswith("/"):
            raise InvalidInput(detail=f"{text!r} names a host; write sqlite:///path", field="target")
        text = rest.removeprefix("/") or MEMORY
    if not text or "\0" in text:
        raise InvalidInput(detail="a path is not empty and has no NUL character", field="target")
    return text if text == MEMORY else os.path.realpath(text)


def new_path_of(target: str | os.PathLike[str]) -> str:
    """The path of a file that is to be made: as `path_of`, but a link that has its name is not followed. Raises as that."""
    path = path_of(target)
    if path == MEMORY:
        raise InvalidInput(detail="a copy is a file", field="target")
    text = os.fspath(target)
    folder, name = os.path.split(text.partition("://")[2].removeprefix("/") if "://" in text else text)
    return f"{os.path.realpath(folder)}/{name}" if name else path
