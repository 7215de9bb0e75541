"""The bytes of attachments, sealed: frames of one length, under a sealed digest.

A frame holds the bytes of one part, sealed by itself, so that a part is read without the others. Bytes that were kept before
the store had a codec stand under their plain digest until `rekey` has moved them.
"""

from __future__ import annotations

from typing import Final, final

from tenure.errors import Corrupt, Internal
from tenure.persistence.engines.blobs import Blobs

from .columns import Column
from .envelope import Envelope

PART: Final = 4 << 20
"""Bytes of a part; only the last of an attachment is shorter."""

_ROOM: Final = 1024
"""What a codec may add to a part."""

_LENGTH: Final = 4
_FRAME: Final = PART + _ROOM

_COLUMN: Final[Column] = ("attachments", "bytes")


@final
class SealedBlobs:
    """See `Blobs`."""

    def __init__(self, inner: Blobs, envelope: Envelope) -> None:
        """Bind to where the bytes stand."""
        self._inner = inner
        self._envelope = envelope

    def begin(self, made: str) -> None:
        """See `Blobs.begin`."""
        self._inner.begin(made)

    def write(self, made: str, offset: int, data: bytes) -> None:
        """See `Blobs.write`. The offset is that of a part. Raises `Internal`: the codec adds more than there is room for."""
        number, within = divmod(offset, PART)
        sealed = self._envelope.seal(_COLUMN, (number,), data)
        if not isinstance(sealed, bytes) or within or len(data) > PART or len(sealed) > _FRAME - _LENGTH:
            raise Internal(detail=f"a codec adds no more than {_ROOM - _LENGTH} bytes to a part of an attachment")
        self._inner.write(made, number * _FRAME, len(sealed).to_bytes(_LENGTH, "big") + sealed)

    def keep(self, made: str, digest: str) -> None:
        """See `Blobs.keep`."""
        self._inner.keep(made, self.name_of(digest))

    def replace(self, made: str, digest: str) -> None:
        """See `Blobs.replace`."""
        self._inner.replace(made, self.name_of(digest))

    def drop(self, made: str) -> None:
        """See `Blobs.drop`."""
        self._inner.drop(made)

    def read(self, digest: str, offset: int, amount: int) -> bytes | None:
        """See `Blobs.read`; of one part at most. Raises `Unreadable`."""
        name = self.name_of(digest)
        number, within = divmod(offset, PART)
        frame = self._inner.read(name, number * _FRAME, _FRAME)
        if frame is None:
            return self._inner.read(digest, offset, amount)
        if not frame:
            return b""
        length = int.from_bytes(frame[:_LENGTH], "big")
        sealed = frame[_LENGTH : _LENGTH + length]
        if len(sealed) != length or self._envelope.key_id_of(sealed) is None:
            raise Corrupt(record="attachment", key=digest, detail="its bytes are not as they were sealed")
        part = self._envelope.unseal((_COLUMN,), (number,), sealed)
        return part[within : within + amount] if isinstance(part, bytes) else None

    def exists(self, digest: str) -> bool:
        """See `Blobs.exists`."""
        return self._inner.exists(self.name_of(digest)) or self._inner.exists(digest)

    def remove(self, digest: str) -> None:
        """See `Blobs.remove`."""
        self._inner.remove(self.name_of(digest))
        self._inner.remove(digest)

    def take(self, digest: str, taker: str) -> None:
        """See `Blobs.take`."""
        self._inner.take(self.name_of(digest), taker)
        self._inner.take(digest, taker)

    def give_back(self, digest: str, taker: str) -> None:
        """See `Blobs.give_back`."""
        self._inner.give_back(self.name_of(digest), taker)
        self._inner.give_back(digest, taker)

    def drop_taken(self, digest: str, taker: str) -> None:
        """See `Blobs.drop_taken`."""
        self._inner.drop_taken(self.name_of(digest), taker)
        self._inner.drop_taken(digest, taker)

    def taken(self) -> list[tuple[str, str]]:
        """See `Blobs.taken`. Raises `Corrupt`: a name was changed."""
        return list(dict.fromkeys([(self._digest_of(name), taker) for name, taker in self._inner.taken()]))

    def names(self) -> list[str]:
        """See `Blobs.names`. Raises `Corrupt`: a name was changed."""
        return list(dict.fromkeys([self._digest_of(name) for name in self._inner.names()]))

    def unfinished(self) -> list[str]:
        """See `Blobs.unfinished`."""
        return self._inner.unfinished()

    # What rekeying asks

    def is_plain(self, digest: str) -> bool:
        """Whether bytes stand there as they were before the store had a codec."""
        return self._inner.exists(digest)

    def remove_plain(self, digest: str) -> None:
        """Remove those, and not the sealed ones."""
        self._inner.remove(digest)

    def key_id_of(self, digest: str) -> str | None:
        """The key that the first part is sealed with; None for no part, or none that is sealed."""
        frame = self._inner.read(self.name_of(digest), 0, _LENGTH + 256)
        return self._envelope.key_id_of(frame[_LENGTH:]) if frame else None

    def name_of(self, digest: str) -> str:
        """The name of what has this digest, fit for a file."""
        return str(self._envelope.seal_digest(digest)).replace("/", "_").replace("+", "-")

    def _digest_of(self, name: str) -> str:
        return str(self._envelope.unseal_digest(name.replace("_", "/").replace("-", "+") if name[:1] == "~" else name))
