"""What each facet promises across crashes: what its answers say, and how it is checked against every row.

Every facet of the catalogue has a proof; a test compares. It says what must hold of the facet after a power cut. It stands with
its subject, which is registered here once.
"""

from __future__ import annotations

from typing import Any, Final

from proof.promises.conversation import chains, graphs, said, talk
from proof.promises.runs import families, followed, inbox, scheduled, work
from tenure.errors import Error
from tenure.persistence.commits.commit import Change

from . import attached, erased, journals, labelled, owners, promoted, pruned, queued, resealed
from .facet import FacetProof, Promised, Rows

PROOFS: Final[tuple[FacetProof, ...]] = (
    *journals.PROOFS,
    *graphs.PROOFS,
    *queued.PROOFS,
    *attached.PROOFS,
    *said.PROOFS,
    *pruned.PROOFS,  # its story prunes what has ended by then: what comes next stays, and is checked row by row
    *work.PROOFS,
    *families.PROOFS,
    *followed.PROOFS,
    *inbox.PROOFS,
    *scheduled.PROOFS,
    *owners.PROOFS,
    *labelled.PROOFS,
    *chains.PROOFS,
    *talk.PROOFS,
    *erased.PROOFS,
    *resealed.PROOFS,
    *promoted.PROOFS,
)
"""Every facet of the catalogue, in the order of their stories."""

QUIET: Final = tuple([change for proof in PROOFS for change in proof.quiet])
"""After these alone all rows but those of the host may be as they were."""

_PROMISES: Final = {change: promise for proof in PROOFS for change, promise in proof.promises.items()}


def promises(change: Change, answer: Any) -> Promised:
    """What the answer to a change promises, by its facet."""
    promise = _PROMISES.get(type(change))
    return () if promise is None else promise(change, answer)


def check(rows: Rows) -> None:
    """Ask every facet. Raises `AssertionError` for the first broken promise, `Error` for rows that cannot be read."""
    for proof in PROOFS:
        try:
            proof.check(rows)
        except (AssertionError, Error) as exc:
            exc.add_note(f"said by the facet {proof.name}")
            raise
