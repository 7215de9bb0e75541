"""What names a SQLite store: a path, ``sqlite:///path``, or ``:memory:``."""

from __future__ import annotations

import os
from typing import Final

from tenure.errors import CannotOpen, InvalidInput

from .preflight import BESIDE

MEMORY: Final = ":memory:"


def path_of(text: str) -> str:
    """The path of a store, the same for every way to it, or `MEMORY`.

    Locks and log stand beside the file: a path through a link, or one that is relative where the process goes elsewhere, would
    have its own.

    Raises:
        InvalidInput: No path, one that SQLite cannot be given, or the name of a file that stands beside a store.
    """
    scheme, separator, rest = text.partition("://")
    if separator:
        if rest and not rest.startswith("/"):
            raise InvalidInput(detail=f"{text!r} names a host; write {scheme}:///path", field="target")
        text = rest.removeprefix("/") or MEMORY
    if not text or "\0" in text:
        raise InvalidInput(detail="a path is not empty and has no NUL character", field="target")
    if text == MEMORY:
        return text
    path = os.path.realpath(text)
    _check_path(path)
    return path


def _check_path(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(detail="a path is text in UTF-8; rename the file or its folder", field="target") from exc
    for end in BESIDE:
        # Empty, it would be taken for a new store, and overwrite the log of the store beside which it stands.
        if path.endswith(end):
            detail = f"a name that ends with {end} is that of a file beside a store; choose another name"
            raise InvalidInput(detail=detail, field="target")


def new_path_of(text: str) -> str:
    """The path of a file that is to be made: as `path_of`, but a link that has its name is not followed. Raises as that."""
    path = path_of(text)
    if path == MEMORY:
        raise InvalidInput(detail="a copy is a file", field="target")
    folder, name = os.path.split(_plain(text))
    if not name:
        return path
    new_path = f"{os.path.realpath(folder)}/{name}"
    _check_path(new_path)
    return new_path


def check_leads_somewhere(text: str) -> None:
    """Look at a path where a store is to be made. Raises `CannotOpen` for a link that leads nowhere: it would be followed."""
    path = _plain(text)
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114 - as text, as it was given
        detail = f"it is a link that leads nowhere ({os.readlink(path)}), and is not followed; remove it"  # noqa: PTH115
        raise CannotOpen(path=path, detail=detail)


def _plain(text: str) -> str:
    return text.partition("://")[2].removeprefix("/") if "://" in text else text
