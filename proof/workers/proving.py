"""The proof of workers: seed after seed, each in its own file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tenure.persistence.model.texts import leaves
from tenure.testing.determinism import run_seeded

from .fleet import play
from .judge import Broken


def prove(seeds: Iterable[int]) -> Iterator[tuple[int, str, str | None]]:
    """Play seeds: of each its result, and how it broke a promise or None."""
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="tenure-workers-") as folder:
            file = Path(folder) / "agents.db"
            try:
                yield seed, run_seeded(lambda _room, seed=seed, file=file: play(seed, file), seed), None
            except* Broken as group:
                yield seed, "", str(next(iter(leaves(group))))
