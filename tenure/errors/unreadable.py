"""What who reads meets: something is there, and what it says cannot be made out."""

from __future__ import annotations

from typing import final

from .base import ReadFailed


class Unreadable(ReadFailed):
    """A stored record is there, and what it says cannot be made out. Abstract.

    It is the record's alone: no other runtime is touched by it.
    """


@final
class Corrupt(Unreadable):
    """A stored record cannot be decoded, or contradicts itself or its neighbours.

    The store's side: restore or repair that record; no other is touched by it. `SchemaMismatch` is a record that is
    sound and of another version, `NotFound` one that is not there.

    Fields: the sort of record, its key and what is wrong; never its content.
    """

    message = "the stored {record} {key!r} is damaged: {detail}; repair it or restore a backup"
    record: str
    key: str
    detail: str


@final
class KeyMissing(Unreadable):
    """What is stored is sealed with a key that this process does not have.

    The installation's side: give the key to the codec. A store that is sealed is opened with a codec alone, and looked into
    without one as far as it stands in the clear. `WrongKey` is another key under this id.

    Fields: the id of the key.
    """

    message = (
        "it is sealed with the key {key_id!r}, which is not here; give it to the codec, or to a command by --key-file"
    )
    key_id: str


@final
class WrongKey(Unreadable):
    """The key that this process has under an id is not the one that sealed what is stored.

    The installation's side: find the right one. `KeyMissing` says that there is none of this id, `Corrupt`
    that it was changed since it was sealed with the key that is here.

    Fields: the id of the key.
    """

    message = (
        "the key {key_id!r} is not the one that sealed this; give that to the codec, or to a command by --key-file"
    )
    key_id: str


@final
class SchemaMismatch(ReadFailed):
    """A file or record was written in a version that this library does not read.

    The installation's side: use the release that wrote it, or a newer one. `Corrupt` is damage, `NotADatabase` a
    file that was never ours.

    Fields: the record, the version this library reads and the stored one, None when none is.
    """

    message = "{what} has version {actual} and this release reads {expected}; use a release that fits the file"
    what: str
    expected: int | str
    actual: int | str | None
