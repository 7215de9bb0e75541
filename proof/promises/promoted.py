"""Promotion: no commit writes what a store says of it, and its power cut is a proof of its own."""

from __future__ import annotations

from typing import Final

from .facet import FacetProof, Rows


def _check(rows: Rows) -> None:
    rows.none("SELECT state FROM promotion", "a store that was never promoted says that it was")


PROOFS: Final = (FacetProof(name="promotion", check=_check),)
