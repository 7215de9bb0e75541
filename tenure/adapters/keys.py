"""Keys of `store.state` that are made of the texts of others."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import quote

from .checking import check_text

_IS_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
"""What a percent-encoding leaves as it is."""

PART_LIMIT: Final = 110
"""Characters of one part, so that four of them and a prefix are a key."""


def part(text: str, field: str, limit: int = PART_LIMIT) -> str:
    """A text as a part of a key: percent-encoded, or where that is too long its digest; equal only where the texts are.

    Raises:
        InvalidInput: It is not a text, or has a lone surrogate.
    """
    if type(text) is str and len(text) <= limit and _IS_PLAIN(text) is not None:
        return text
    check_text(text, field)
    encoded = quote(text, safe="")
    return encoded if len(encoded) <= limit else f"={hashlib.sha256(text.encode()).hexdigest()}"
