"""Verification of output: every chunk as its digest says, none missing, and every floor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tenure.errors import ReadFailed
from tenure.persistence.commits.upkept import Problem, Subject, failing
from tenure.persistence.engines.engine import Statements

from . import reads

SHOWN: Final = 100
"""Most strays that are named."""


def verify_runtime(statements: Statements, subject: Subject) -> Iterator[Problem]:
    """The chunks of a runtime, first to last."""
    yield from failing("floor", subject.runtime_id, lambda: reads.find_floor(statements, subject.runtime_id))
    since, total = 0, None
    while rows := statements.readable("output.sizes", runtime=subject.runtime, since=since, count=reads.PAGE_CHUNKS):
        for key, *_ in rows:
            found = statements.readable("output.page", runtime=subject.runtime, since=key, last=key)
            try:
                chunk = reads.decode(found[0]) if found else None
                if chunk is not None:
                    chunk.entries()
            except ReadFailed as exc:
                yield getattr(exc, "record", "output"), str(key), str(exc)
                chunk = None
            if chunk is None:
                total = None
                continue
            if total is not None and chunk.total - len(chunk.said) != total:
                yield "output", str(key), f"{chunk.total - len(chunk.said) - total} entries before it are missing"
            total = chunk.total
        since = rows[-1][0] + 1


def verify_strays(statements: Statements) -> list[Problem]:
    """What is of no runtime, and runs whose first words are neither there nor gone; the first of them."""
    strays = statements.readable("output.strays", count=SHOWN)
    floors = statements.readable("output.stray_floors", count=SHOWN)
    unsaid = statements.readable("output.unsaid", count=SHOWN)
    return [
        *[("output", str(row[0]), "it is of no runtime") for row in strays],
        *[("floor", str(row[0]), "it is of the output of no runtime") for row in floors],
        *[("run", str(row[0]), "what it has said first is not there") for row in unsaid],
    ]
