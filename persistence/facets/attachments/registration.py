"""The facet of attachments."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Walk

from . import attachments
from .show import attachments_of
from .verify import verify_attachments

FACETS: Final[tuple[Facet, ...]] = (
    evolve(
        attachments.FACET,
        part="attachments",
        verify=(Walk(page=verify_attachments),),
        show={"attachments": attachments_of},
    ),
)
"""As the catalogue takes them."""
