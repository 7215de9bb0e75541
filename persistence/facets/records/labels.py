"""Labels of runtimes: names with values by which lists and verbs choose them (design §26).

Theory of operation. What one runtime has is a set with a revision and a digest over all of it. Each label is a row, and an
index has these by name and value in the order of runtime ids. A list by several labels walks their parts of that index side by
side, each from the highest place which any of them has reached. So a page costs what it returns and what it passes by, however
many runtimes there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping
from typing import Final, final

from attrs import define, field, frozen

from tenure.errors import Corrupt, CounterOverflow, LimitReached, ReadFailed, RuntimeDestroyed
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import Problem, Subject, failing
from tenure.persistence.engines.engine import SqlValue, Statements
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.labels import MAX_LABELS, Labels, Relabelling
from tenure.persistence.model.numbers import INT_LIMIT
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState

from . import runtimes

RECORD: Final = "labels"

AHEAD: Final = 16
"""Rows that a walk along one label reads at a time."""


@final
@frozen(kw_only=True, slots=True)
class Relabel(Change):
    """Set and remove labels of a runtime; those that are not named stay. Answer: `Labelled`.

    Attributes:
        runtime_id: Whose.
        changed: Each with its new value, or None.
    """

    runtime_id: LogicalRuntimeId
    changed: Relabelling


@final
@frozen(kw_only=True, slots=True)
class Labelled:
    """What came of it.

    Attributes:
        revision: Of the labels; each write of them has the next one.
        labels: All that the runtime has then.
    """

    revision: int
    labels: Labels


def _relabel(tx: Transaction, change: Relabel) -> Labelled:
    record = runtimes.load(tx, change.runtime_id)
    if record.state is RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=change.runtime_id)
    revision, stored = _load(tx, record.runtime, change.runtime_id)
    wanted = {name: value for name, value in {**stored, **dict(change.changed)}.items() if value is not None}
    if len(wanted) > MAX_LABELS:
        raise LimitReached(what="labels of one runtime", limit=MAX_LABELS)
    labels = tuple(sorted(wanted.items()))
    if wanted == stored:
        return Labelled(revision=revision, labels=labels)
    if revision >= INT_LIMIT - 1:
        raise CounterOverflow(counter="the revision of labels")
    for name, value in change.changed:
        where: dict[str, SqlValue] = {"runtime": record.runtime, "name": name}
        if value is None:
            tx.run("labels.delete", **where)
        elif name in stored:
            tx.write("labels.update", value=value, **where)
        else:
            tx.insert("labels.insert", value=value, runtime_id=change.runtime_id, **where)
    _seal(tx, record.runtime, revision + 1, labels)
    return Labelled(revision=revision + 1, labels=labels)


def give(tx: Transaction, record: runtimes.RuntimeRecord, labels: Labels) -> None:
    """Labels of a runtime that this commit makes."""
    if not labels:
        return
    for name, value in labels:
        tx.insert("labels.insert", runtime=record.runtime, name=name, value=value, runtime_id=record.runtime_id)
    _seal(tx, record.runtime, 1, labels)


def _seal(tx: Transaction, runtime: int, revision: int, labels: Labels) -> None:
    tx.write("labels.seal", runtime=runtime, revision=revision, digest=_digest(runtime, revision, labels), now=tx.now)


def _digest(runtime: int, revision: int, labels: Labels) -> bytes:
    return seal(runtime, revision, *[part for label in labels for part in label])


# Reads


def of_runtime(statements: Statements, runtime: int, runtime_id: str) -> dict[str, str]:
    """The labels of a runtime, by name. Raises `Corrupt`."""
    return _load(statements, runtime, runtime_id)[1]


def _load(statements: Statements | Transaction, runtime: int, runtime_id: str) -> tuple[int, dict[str, str]]:
    rows = statements.all("labels.of_runtime", runtime=runtime)
    head = statements.one("labels.set", runtime=runtime)
    if head is None and not rows:
        return 0, {}
    if head is None:
        raise Corrupt(record=RECORD, key=runtime_id, detail="there are labels, and no word of how many")
    check_row(head, (int, bytes, int), RECORD, runtime_id)
    revision, digest, scheme = head
    for row in rows:
        check_row(row, (str, str, str), RECORD, runtime_id)
        if row[2] != runtime_id:
            raise Corrupt(record=RECORD, key=runtime_id, detail="one is listed under another id")
    found = tuple([(name, value) for name, value, _ in rows])
    check_digest(_digest(runtime, revision, found), digest, scheme, RECORD, runtime_id)
    return revision, dict(found)


@final
@define(slots=True)
class _Walk:
    """The runtimes that have one label, by id.

    Attributes:
        name: Of the label.
        value: Likewise.
        ahead: What was read, and not passed by.
        is_over: Nothing comes after that.
    """

    name: str
    value: str
    ahead: deque[str] = field(factory=deque[str])
    is_over: bool = False

    def first_after(self, statements: Statements, place: str) -> str | None:
        return self._first(statements, "labels.after", place)

    def first_at_least(self, statements: Statements, place: str) -> str | None:
        while self.ahead and self.ahead[0] < place:
            self.ahead.popleft()
        return self._first(statements, "labels.at_least", place)

    def _first(self, statements: Statements, name: str, place: str) -> str | None:
        if not self.ahead and not self.is_over:
            rows = statements.readable(name, name=self.name, value=self.value, place=place, count=AHEAD)
            self.ahead.extend([runtime_id for (runtime_id,) in rows if isinstance(runtime_id, str)])
            self.is_over = not rows
        return self.ahead[0] if self.ahead else None


def having(statements: Statements, labels: Labels, after: str) -> Iterator[str]:
    """Ids of the runtimes that have each of these labels, which are at least one, after an id, by id.

    So says the index, whose rows a disk may change: who acts on it looks at the labels of the runtime itself.
    """
    walks = [_Walk(name, value) for name, value in labels]
    place = walks[0].first_after(statements, after)
    agreed = 1
    at = 0
    while place is not None:
        if agreed == len(walks):
            yield place
            walks[at].ahead.popleft()
            place, agreed = walks[at].first_after(statements, place), 1
            continue
        at = (at + 1) % len(walks)
        reached = walks[at].first_at_least(statements, place)
        agreed = agreed + 1 if reached == place else 1
        place = reached


def show(statements: Statements, subject: Subject) -> Mapping[str, str] | None:
    """What `show` says of a runtime; None for no labels."""
    try:
        return of_runtime(statements, subject.runtime, subject.runtime_id) or None
    except ReadFailed as exc:
        return {"error": str(exc)}


def verify(statements: Statements, subject: Subject) -> Generator[Problem]:
    """What is wrong with the labels of a runtime."""
    yield from failing(RECORD, subject.runtime_id, lambda: of_runtime(statements, subject.runtime, subject.runtime_id))


FACET: Final = Facet(name="labels", handlers={Relabel: Handler(apply=_relabel)})
