"""The browser for the pages of examples."""

from __future__ import annotations

from tests.kit.browsers import browser

__all__ = ["browser"]
