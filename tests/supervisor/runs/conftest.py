"""The words of `tests.kit.alone`, for tests of this room."""

from __future__ import annotations

from tests.kit.alone import ALONE, OpenHost, virtual_seams

__all__ = ["ALONE", "OpenHost", "virtual_seams"]
