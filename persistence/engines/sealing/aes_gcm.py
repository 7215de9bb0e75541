"""AES-256-GCM, with keys that are given or stand in a file. Imported where a program asks for it: it needs an extra."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tenure.errors import CannotOpen, InvalidInput, KeyMissing, WrongKey
from tenure.persistence.seams.lines import write_line

KEY_BYTES: Final = 32
LOOK_S: Final = 1.0
"""Seconds for which a file of keys is taken as it was read."""

_NONCE: Final = 12
_CHECK: Final = 4
_KEY_ID_MOST: Final = 64
_KEY_ID_FORM: Final = f"1 to {_KEY_ID_MOST} characters of ASCII"


@final
class AesGcm:
    """A `Codec`: AES-256-GCM with a random nonce for each value.

    A body is four bytes that distinguish the key from others, the nonce, the ciphertext and the tag. One key may seal 2**32
    values (NIST SP 800-38D, 8.3): give it a successor before.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Take keys of 32 bytes by id; the first is the key of today. Raises `InvalidInput`."""
        self._read: Callable[[], Mapping[str, bytes] | None] | None = None
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self._ring = _Ring(keys)

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> AesGcm:
        """Take the keys of a file, and again wherever it has changed: that is how keys are rotated beside hosts that run.

        It is looked at once a second, and at once for a key that is not known. A file that cannot be read then changes nothing,
        nor one that is not a file of keys, as while it is written; the log of Python (``tenure``) has a warning of the latter.

        Raises:
            CannotOpen: It cannot be read.
            InvalidInput: It is not a file of keys; the error has nothing of its text.
        """
        file = _KeyFile(Path(path))
        made = cls(file.keys())
        made._read = file.changed
        made._looked_at = time.monotonic()
        return made

    @classmethod
    def of_text(cls, text: str) -> AesGcm:
        """Take keys as a file has them. Raises `InvalidInput`."""
        return cls(_keys_of(text))

    def replace_keys(self, keys: Mapping[str, bytes]) -> None:
        """Take other keys from now on. Leave out none that still opens something. Raises `InvalidInput`."""
        self._ring = _Ring(keys)

    @property
    def key_id(self) -> str:
        """The key of today."""
        return self._ring.today

    def __repr__(self) -> str:
        """The ids of the keys; never a key."""
        return f"AesGcm({', '.join(self._ring.keys)})"

    def seal(self, plain: bytes, place: bytes, /) -> tuple[str, bytes]:
        """See `Codec.seal`."""
        if self._read is not None and time.monotonic() - self._looked_at >= LOOK_S:
            self._look()
        ring = self._ring
        check, cipher = ring.keys[ring.today]
        nonce = os.urandom(_NONCE)
        return ring.today, check + nonce + cipher.encrypt(nonce, plain, place)

    def unseal(self, key_id: str, sealed: bytes, place: bytes, /) -> bytes:
        """See `Codec.unseal`."""
        key = self._ring.keys.get(key_id)
        if key is None and self._read is not None:
            self._look()
            key = self._ring.keys.get(key_id)
        if key is None:
            raise KeyMissing(key_id=key_id)
        check, cipher = key
        if len(sealed) < _CHECK + _NONCE:
            raise ValueError("it is too short")
        if not hmac.compare_digest(check, sealed[:_CHECK]):
            raise WrongKey(key_id=key_id)
        try:
            return cipher.decrypt(sealed[_CHECK : _CHECK + _NONCE], sealed[_CHECK + _NONCE :], place)
        except InvalidTag as exc:
            raise ValueError("its tag is another") from exc

    def _look(self) -> None:
        with self._lock:
            self._looked_at = time.monotonic()
            try:
                found = self._read() if self._read is not None else None
            except (OSError, CannotOpen):  # its medium may be taken away when a host has begun
                return
            except InvalidInput as exc:  # as while it is written; said once a change
                text = f"the file of keys was changed, and what it says is not taken: {exc.detail}"
                write_line("tenure", logging.WARNING, text)
                return
            if found is not None:
                self._ring = _Ring(found)


@final
class _Ring:
    """Keys that were found good, and which is that of today: taken all at once, or not."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise InvalidInput(detail="there is no key", field="keys")
        self.today = next(iter(keys))
        self.keys: dict[str, tuple[bytes, AESGCM]] = {}
        for key_id, key in keys.items():
            if not _is_key_id(key_id):
                raise InvalidInput(detail=f"the id of a key has {_KEY_ID_FORM}", field="keys")
            if len(key) != KEY_BYTES:
                raise InvalidInput(detail=f"the key {key_id!r} has {len(key)} bytes, and not {KEY_BYTES}", field="keys")
            self.keys[key_id] = hmac.digest(key, b"tenure which key", "sha256")[:_CHECK], AESGCM(key)


@final
class _KeyFile:
    """A file of keys, and how it was when it was read last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def keys(self) -> Mapping[str, bytes]:
        """What it says. Raises `CannotOpen`, `InvalidInput`."""
        try:
            stat = self._path.stat()
            text = self._path.read_text("ascii")
        except OSError as exc:
            raise CannotOpen(path=str(self._path), detail=f"{exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise InvalidInput(detail="a file of keys is ASCII", field="keys") from exc
        self._seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return _keys_of(text)

    def changed(self) -> Mapping[str, bytes] | None:
        """What it says now; None where it is as it was. Raises `OSError`, and as `keys`."""
        stat = self._path.stat()
        return None if (stat.st_ino, stat.st_size, stat.st_mtime_ns) == self._seen else self.keys()


def _is_key_id(text: str) -> bool:
    return text.isascii() and text.isprintable() and 0 < len(text) <= _KEY_ID_MOST and " " not in text


def _keys_of(text: str) -> Mapping[str, bytes]:
    """Keys by id. Raises `InvalidInput` with nothing of the text: a key may stand where its id should."""
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            key_id, encoded = words
            key = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error) as exc:
            raise InvalidInput(detail=f"line {number} is not an id and a key in base64", field="keys") from exc
        if len(key) != KEY_BYTES or not _is_key_id(key_id):
            detail = f"line {number} is not an id of {_KEY_ID_FORM} and a key of {KEY_BYTES} bytes in base64"
            raise InvalidInput(detail=detail, field="keys")
        if key_id in keys:
            raise InvalidInput(detail=f"line {number} has the id of another line", field="keys")
        keys[key_id] = key
    if not keys:
        raise InvalidInput(detail="there is no key", field="keys")
    return keys
