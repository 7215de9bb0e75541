"""Facts: values by content hash, and who refers to them (design §12).

A fact belongs to no stream. Each append and each snapshot declares what it refers to; `prune` takes what nothing refers to any
more. One hash has one value, for every writer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, final

from attrs import frozen

from tenure.errors import FactConflict, NotFound
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.digests import check_digest, check_scheme, seal
from tenure.persistence.model.events.journal import EncodedFact, decode_value

EVENTS: Final = "events"
SNAPSHOT: Final = "snapshot"
"""What of a stream refers to a fact. A stream's events only go all together, so one row stands for all of them."""


@final
@frozen(kw_only=True, slots=True)
class SaveFact(Change):
    """Store a fact that nothing refers to yet. Answer: None."""

    ingress = True  # it has no owner, and never changes

    fact: EncodedFact

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.fact.value or b"")


@final
@frozen(kw_only=True, slots=True)
class PruneFacts(Change):
    """Delete those of some facts that nothing refers to. Answer: how many.

    Attributes:
        facts: Their integers.
        before: Only what was stored, and declared, before this.
    """

    ingress = True  # judged again in the commit

    facts: tuple[int, ...]
    before: float


def _save(tx: Transaction, change: SaveFact) -> None:
    fact = store(tx, change.fact)
    tx.write("facts.touch", fact=fact, now=tx.now)  # pruning takes its age from here


def store(tx: Transaction, fact: EncodedFact) -> int:
    """Store a fact, or find the one that is there; its integer.

    Raises:
        FactConflict: The hash is that of another value.
        NotFound: No value was given, and there is none.
    """
    row = tx.one("facts.find", fact_key=fact.key)
    digest = None if fact.value is None else seal(fact.key, fact.form, fact.value)
    if row is not None:
        check_row(row, (int, bytes, int), "fact", fact.key)
        check_scheme(row[2], "fact", fact.key)
        if digest is not None and row[1] != digest:
            raise FactConflict(hash=fact.key[2:])
        found: int = row[0]
        return found
    if fact.value is None:
        raise NotFound(what="fact", key=fact.key[2:])
    return tx.insert("facts.insert", fact_key=fact.key, form=fact.form, value=fact.value, digest=digest, now=tx.now)


def declare(tx: Transaction, stream: int, source: str, facts: Iterable[EncodedFact]) -> None:
    """Store what is new of the facts, and write that the stream refers to them."""
    for fact in facts:
        key = store(tx, fact)
        if tx.one("facts.refers", fact=key, stream=stream, source=source) is None:
            tx.insert("facts.refer", fact=key, stream=stream, source=source)


def _prune(tx: Transaction, change: PruneFacts) -> int:
    return sum([tx.run("facts.delete", fact=each, before=change.before) for each in change.facts])


def find(statements: Statements, key: str) -> tuple[str, bytes] | None:
    """Form and value of a fact, or None. Raises `Corrupt`: the value is not what its digest says."""
    row = statements.one("facts.load", fact_key=key)
    if row is None:
        return None
    check_row(row, (str, bytes, bytes, int), "fact", key)
    form, value, digest, scheme = row
    check_digest(seal(key, form, value), digest, scheme, "fact", key)
    return form, value


def value_of(statements: Statements, key: str) -> Any:
    """The value of a fact. Raises `NotFound`, `Corrupt`."""
    found = find(statements, key)
    if found is None:
        raise NotFound(what="fact", key=key[2:])
    return decode_value(*found, "fact", key)


FACET: Final = Facet(name="facts", handlers={SaveFact: Handler(apply=_save), PruneFacts: Handler(apply=_prune)})
