"""Stores and hosts whose inside a test may look into, or write past: `inside_of` of `tenure.testing.observing` finds it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import tenure
from tenure.testing.observing import seen


def open_seen_store(
    target: Path | str, *, seams: tenure.Seams | None = None, **terms: Any
) -> AbstractAsyncContextManager[tenure.Store]:
    """As `tenure.open_store`."""
    return tenure.open_store(target, seams=seen(seams), **terms)


def open_seen_supervisor(
    target: Path | str, *, seams: tenure.Seams | None = None, **terms: Any
) -> AbstractAsyncContextManager[tenure.Supervisor]:
    """As `tenure.open_supervisor`."""
    return tenure.open_supervisor(target, seams=seen(seams), **terms)
