"""Sealing again: no row is changed that was not read as it is, and nothing where nothing is sealed."""

from __future__ import annotations

from typing import Final

from proof.stories.words import Words
from tenure.persistence.facets.sealing.sealing import Reseal, Rewrap, SealedRow

from .facet import FacetProof


async def reseal(words: Words) -> None:
    """Of a row that is not there, and of a key that is none; what rekeys a sealed store is in a proof of its own."""
    row = SealedRow(
        row=-1, before={"digest": b"before", "value": b"before"}, after={"digest": b"after", "value": b"after"}
    )
    await words.write(Reseal(table="state_values", rows=(row,)))
    await words.write(Rewrap(before=b"none", key_id="two", store_key=b"none"))


PROOFS: Final = (FacetProof(name="sealing", story=reseal, quiet=(Reseal, Rewrap)),)
