"""What is shown of the output of a runtime."""

from __future__ import annotations

from tenure.persistence.commits.upkept import Subject
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.output import position_of


def output_of(statements: Statements, subject: Subject) -> dict[str, object] | None:
    """How many entries are there, and the position of the newest; None where the runtime has said nothing."""
    row = statements.one("output.show", runtime=subject.runtime)
    if row is None or row[0] is None:
        return None
    total, gone, chunk, entries = row
    if not all(isinstance(each, int) for each in row):
        return {"error": "its chunks cannot be read"}
    return {"entries": total - gone, "newest": position_of((chunk, entries))}
