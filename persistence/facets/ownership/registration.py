"""The facets of ownership, of lives, and of what one host asks another."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Problem, Subject, failing
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.runs import children
from tenure.persistence.model.lifecycles.lifecycle_record import decode_lifecycle_record

from . import draining, lifecycle, ownership, requests, spawning


def _record(statements: Statements, subject: Subject) -> Iterator[Problem]:
    yield from failing("lifecycle record", subject.runtime_id, partial(_decode, statements, subject))


def _decode(statements: Statements, subject: Subject) -> None:
    data = lifecycle.find_record(statements, subject.runtime_id)
    if data is not None:
        decode_lifecycle_record(data, subject.runtime_id)


def _children(statements: Statements, subject: Subject) -> Iterator[Problem]:
    yield from failing("child", subject.runtime_id, partial(children.of_runtime, statements, subject.runtime_id))


FACETS: Final[tuple[Facet, ...]] = (
    ownership.FACET,
    draining.FACET,
    evolve(lifecycle.FACET, verify_runtime=_record),
    requests.FACET,
    evolve(spawning.FACET, verify_runtime=_children, show={"family": children.shown}),
)
"""As the catalogue takes them."""
