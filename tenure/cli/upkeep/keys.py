"""The keys of a sealed store, for commands: from a file or from the environment. No command prints one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tenure.errors import InvalidInput, Unsupported
from tenure.persistence.seams.seams import Seams

if TYPE_CHECKING:
    from tenure.persistence.seams.options import Codec

KEY_FILE: Final = "TENURE_KEY_FILE"
"""Names a file of keys."""

KEYS: Final = "TENURE_KEYS"
"""Has the keys themselves, as such a file has them."""


def seams() -> Seams:
    """What a command opens a store with: those of the system, and the codec that the environment has keys for.

    Raises:
        CannotOpen: The file of keys cannot be read.
        InvalidInput: It is not one; or both variables are there.
        Unsupported: The extra ``crypto`` is not installed.
    """
    return Seams(codec=_codec())


def _codec() -> Codec | None:
    path, text = os.environ.get(KEY_FILE), os.environ.get(KEYS)
    if not path and not text:
        return None
    if path and text:
        raise InvalidInput(detail=f"{KEY_FILE} and {KEYS} are both there: leave out one", field="keys")
    try:
        from tenure.persistence.engines.sealing.aes_gcm import AesGcm  # noqa: PLC0415 - not before there is a key
    except ImportError as exc:
        raise Unsupported(what="keys without cryptography (pip install 'tenure[crypto]')") from exc
    return AesGcm.of_file(path) if path else AesGcm.of_text(text or "")
