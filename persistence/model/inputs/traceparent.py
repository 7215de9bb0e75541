"""The context of a request in the form of W3C Trace Context, level 1: ``00-<trace id>-<span id>-<flags>``."""

from __future__ import annotations

import re
from typing import Final

from tenure.errors import InvalidInput

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def check_traceparent(given: object) -> str | None:
    """A ``traceparent`` as a request carries it, or None. Raises `InvalidInput`."""
    if given is None:
        return None
    if not isinstance(given, str) or _TRACEPARENT.fullmatch(given) is None:
        raise InvalidInput(detail="it is not of the form 00-<32 hex digits>-<16>-<2>", field="traceparent")
    return given
