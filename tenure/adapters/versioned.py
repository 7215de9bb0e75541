"""Values of `store.state` whose first field is a version: read as they were written, or refused."""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from tenure.errors import Corrupt


class Versioned(Protocol):
    """A record that says by which version of its adapter it was written."""

    @property
    def version(self) -> int:
        """The version, from 1."""
        ...


V = TypeVar("V", bound=Versioned)


def decode(decoder: msgspec.msgpack.Decoder[V], data: bytes, version: int, *, record: str, key: str) -> V:
    """A record as it was stored under a key, in the one version that its adapter reads.

    `record` names the sort of it for people. Raises `Corrupt` for what is none, or of another version.
    """
    try:
        found = decoder.decode(data)
    except msgspec.MsgspecError as exc:
        raise Corrupt(record=record, key=key, detail=str(exc)) from exc
    if found.version != version:
        raise Corrupt(record=record, key=key, detail=f"its version is {found.version}")
    return found
