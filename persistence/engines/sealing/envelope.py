"""One value, sealed and unsealed.

A content is ``marker, version, length and text of the key id, body``. The marker is drawn once for a store: what begins with it
was sealed, and everything else was written before the store had a codec. The body is the codec's; what it seals is the key of
the row and the content, and it is bound to the marker, the table and the column. In a column of texts it is base64.

A digest is ``tag, digest XOR mask``: tag and mask are HMAC-SHA-256 under the key of the store, the mask of the tag. The same
digest is always sealed the same, so that it can be looked for; without the key it
cannot be found out what it is a digest of. Both are
in the form of SIV (Rogaway and Shrimpton, 2006).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Any, Final, final

import msgspec

from tenure.errors import Corrupt, Internal, KeyMissing, WrongKey
from tenure.persistence.engines.sealing.columns import Column
from tenure.persistence.model.texts import SealedBytes, sealed_text
from tenure.persistence.seams.options import Codec

MARKER_BYTES: Final = 8
VERSION: Final = b"\x01"
KEY_BYTES: Final = 32
DIGEST_BYTES: Final = 32
SEALED_DIGEST_BYTES: Final = 48
_TAG_BYTES: Final = SEALED_DIGEST_BYTES - DIGEST_BYTES
_HEX_MARK: Final = "~"
_HEAD: Final = MARKER_BYTES + len(VERSION)
_KEY_ID_MOST: Final = 64

RowKey = tuple[Any, ...]
"""The values of the columns that say which row it is; None for one that is not known where it was sealed."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[RowKey, bytes]).decode


def store_key_place(marker: bytes) -> bytes:
    """What the key of a store is bound to."""
    return marker + b"store.key"


def seal_with(codec: Codec, plain: bytes, place: bytes) -> tuple[str, bytes]:
    """What a codec makes of it. Raises `Internal` for a key id that cannot be stored."""
    key_id, body = codec.seal(plain, place)
    if not (type(key_id) is str and key_id.isascii() and 0 < len(key_id) <= _KEY_ID_MOST):
        raise Internal(detail=f"a codec gives a key id of 1 to {_KEY_ID_MOST} characters of ASCII, and not {key_id!r}")
    return key_id, body


def unseal_with(codec: Codec | None, key_id: str, body: bytes, place: bytes, what: str) -> bytes:
    """What a codec gives back. Raises `KeyMissing`, `WrongKey`, `Corrupt`."""
    if codec is None:
        raise KeyMissing(key_id=key_id)
    try:
        return codec.unseal(key_id, body, place)
    except (KeyMissing, WrongKey):
        raise
    except ValueError as exc:
        raise Corrupt(record="sealed", key=what, detail="it was changed, or moved to another place") from exc


@final
class Envelope:
    """Seals and unseals the values of one store.

    Attributes:
        marker: See above.
        readable: Whether there is a codec; without one, what is sealed is shown as such.
    """

    def __init__(self, codec: Codec | None, marker: bytes, store_key: bytes | None, key_id: str) -> None:
        """Bind to a store: its marker, its key (None without a codec), and the id of the key that one is sealed with."""
        self.marker = marker
        self.readable = codec is not None
        self._codec = codec
        self._store_key_id = key_id
        self._head = marker + VERSION
        self._text_head = base64.b64encode(self._head).decode()
        self._tag_key = self._mask_key = b""
        if store_key is not None:
            self._tag_key = hmac.digest(store_key, b"tenure digest tag", "sha256")
            self._mask_key = hmac.digest(store_key, b"tenure digest mask", "sha256")

    # Contents

    def seal(self, column: Column, key: RowKey, value: str | bytes) -> str | bytes:
        """Seal a content that will stand in a column of a row."""
        if isinstance(value, str):
            try:
                data = value.encode()
            except UnicodeEncodeError:
                return value  # no engine stores it, and each says so itself
            return base64.b64encode(self._seal(column, key, data)).decode()
        return self._seal(column, key, value)

    def _seal(self, column: Column, key: RowKey, data: bytes) -> bytes:
        if self._codec is None:
            raise KeyMissing(key_id=self._store_key_id)
        key_id, body = seal_with(self._codec, _encode((key, data)), self._place(column))
        return b"".join((self._head, bytes((len(key_id),)), key_id.encode(), body))

    def key_id_of(self, value: object) -> str | None:
        """The id of the key that a content is sealed with; None where it is in the clear. Raises `Corrupt`."""
        data = self._sealed_bytes(value)
        return None if data is None else _split(data, "")[0]

    def unseal(self, columns: Sequence[Column], key: RowKey, value: object) -> object:
        """The content of a column that may be one of these; what is in the clear, or no content, as it is.

        Args:
            columns: Where it may stand.
            key: Of its row, None for what is not known here; compared with what was sealed.
            value: What is stored.

        Raises:
            KeyMissing: The codec does not have its key.
            WrongKey: The codec has another key of that id.
            Corrupt: It was changed, or moved to another column or row.
        """
        data = self._sealed_bytes(value)
        if data is None:
            return value
        what = ".".join(columns[0])
        key_id, body = _split(data, what)
        if not self.readable:
            return sealed_text(key_id) if isinstance(value, str) else SealedBytes.under(key_id, data)
        plain = self._unseal(columns, key_id, body)
        try:
            sealed_key, content = _decode(plain)
            text = content.decode() if isinstance(value, str) else content
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise Corrupt(record="sealed", key=what, detail="its form is not known") from exc
        if not _is_of(sealed_key, key):
            raise Corrupt(record="sealed", key=f"{what} of {key}", detail=f"it is that of {sealed_key}")
        return text

    def _unseal(self, columns: Sequence[Column], key_id: str, body: bytes) -> bytes:
        *others, last = columns
        for column in others:
            try:
                return unseal_with(self._codec, key_id, body, self._place(column), ".".join(column))
            except Corrupt:
                continue
        return unseal_with(self._codec, key_id, body, self._place(last), ".".join(last))

    def _sealed_bytes(self, value: object) -> bytes | None:
        if isinstance(value, bytes):
            return value if value.startswith(self._head) else None
        if not isinstance(value, str) or not value.startswith(self._text_head):
            return None
        return _of_base64(value, "text")

    def _place(self, column: Column) -> bytes:
        return self.marker + ".".join(column).encode()

    # Digests

    def seal_digest(self, value: str | bytes) -> str | bytes:
        """Seal a digest, as bytes or in hex; what is none, as it is."""
        if isinstance(value, str):
            raw = _of_hex(value)
            return value if raw is None else _HEX_MARK + base64.b64encode(self._seal_digest(raw)).decode()
        return self._seal_digest(value) if len(value) == DIGEST_BYTES else value

    def _seal_digest(self, raw: bytes) -> bytes:
        if not self.readable:
            raise KeyMissing(key_id=self._store_key_id)
        tag = hmac.digest(self._tag_key, raw, "sha256")[:_TAG_BYTES]
        return tag + self._masked(tag, raw)

    def unseal_digest(self, value: object) -> object:
        """Undo `seal_digest`; what is not sealed, as it is. Raises `Corrupt`."""
        if isinstance(value, str):
            if not value.startswith(_HEX_MARK):
                return value
            if not self.readable:
                return sealed_text(self._store_key_id)
            return self._unseal_digest(_of_base64(value[1:], "digest")).hex()
        if not isinstance(value, bytes) or len(value) != SEALED_DIGEST_BYTES:
            return value
        return self._unseal_digest(value) if self.readable else SealedBytes.under(self._store_key_id, value)

    def is_sealed_digest(self, value: object) -> bool:
        """Whether it is one that `seal_digest` made."""
        if isinstance(value, str):
            return value.startswith(_HEX_MARK)
        return isinstance(value, bytes) and len(value) == SEALED_DIGEST_BYTES

    def _unseal_digest(self, value: bytes) -> bytes:
        tag = value[:_TAG_BYTES]
        raw = self._masked(tag, value[_TAG_BYTES:])
        if not hmac.compare_digest(tag, hmac.digest(self._tag_key, raw, "sha256")[:_TAG_BYTES]):
            raise Corrupt(record="sealed", key="digest", detail="it was changed, or is of another store")
        return raw

    def _masked(self, tag: bytes, data: bytes) -> bytes:
        mask = hmac.digest(self._mask_key, tag, "sha256")
        return (int.from_bytes(mask, "big") ^ int.from_bytes(data, "big")).to_bytes(DIGEST_BYTES, "big")


def _split(data: bytes, what: str) -> tuple[str, bytes]:
    length = data[_HEAD] if len(data) > _HEAD else 0
    end = _HEAD + 1 + length
    key_id = data[_HEAD + 1 : end]
    if not length or len(data) < end or not key_id.isascii():
        raise Corrupt(record="sealed", key=what, detail="it was cut off, or changed")
    return key_id.decode(), data[end:]


def _is_of(sealed: RowKey, known: RowKey) -> bool:
    if not known:
        return True
    return len(sealed) == len(known) and all(
        a is None or b is None or a == b for a, b in zip(sealed, known, strict=True)
    )


def _of_base64(text: str, what: str) -> bytes:
    """The bytes of a text that we wrote. Bits of the last letter that stand for nothing are as they were written, too."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Corrupt(record="sealed", key=what, detail="it was changed") from exc
    if base64.b64encode(decoded).decode() != text:
        raise Corrupt(record="sealed", key=what, detail="it was changed")
    return decoded


def _of_hex(value: str) -> bytes | None:
    if len(value) != 2 * DIGEST_BYTES or value != value.lower():
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None
