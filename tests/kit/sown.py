"""Mistakes that are sown into the real code, and what a proof that plays seeds says of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proof.seeded.cases import prove

Mistake = Callable[[pytest.MonkeyPatch], None]


def broken_by_seed(play: Callable[[int, Path], Awaitable[str]], seed: int) -> str:
    """How a seed breaks a promise; fails where it breaks none."""
    ((_, came, how),) = prove(play, [seed])
    assert how is not None, f"seed {seed} broke no promise: {came}"
    return how
