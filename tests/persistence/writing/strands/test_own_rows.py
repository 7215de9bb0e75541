"""What a strand may ask: each statement names whose rows it reads and writes, or reads what no strand writes."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from tenure.persistence.commits.transaction import Writing
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.writing.strands.own_rows import OWN_ROWS, OwnRows, ReachesFurther

WHOSE = {"runtime", "runtime_id", "run", "session", "session_id", "input"}
"""Parameters that name a runtime, or a run, a conversation or an input of it."""

WRITTEN = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")
READ = re.compile(r"\b(?:FROM|JOIN) (\w+)")

STATEMENTS = load_statements("postgres/statements.sql")


def test_every_statement_of_a_strand_is_there() -> None:
    assert set(STATEMENTS) >= OWN_ROWS


def test_a_statement_of_a_strand_names_whose_rows_it_is_about_or_reads_what_no_strand_writes() -> None:
    written = {table for each in OWN_ROWS for table in WRITTEN.findall(STATEMENTS[each])}
    of_none = [each for each in OWN_ROWS if WHOSE.isdisjoint(re.findall(r":(\w+)", STATEMENTS[each]))]

    assert not [each for each in of_none if WRITTEN.findall(STATEMENTS[each])]
    assert not [each for each in of_none if written.intersection(READ.findall(STATEMENTS[each]))]
    assert of_none == ["holds.all"]


class Heard:
    """Statements that were asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __getattr__(self, _verb: str) -> Any:
        def ask(name: str, /, **_: object) -> None:
            self.names.append(name)

        return ask


@pytest.mark.parametrize("verb", ["one", "all", "readable", "write", "run", "insert"])
def test_a_strand_gets_no_other_statement_and_no_other_runtime(verb: str) -> None:
    heard = Heard()
    own: Any = OwnRows(cast("Writing", heard), {"a", "b"})
    ask = getattr(own, verb)

    ask("runtimes.load", runtime_id="b")
    for name, runtime_id in (("runtimes.load", "c"), ("queue.counter", "a"), ("holds.place", "a")):
        with pytest.raises(ReachesFurther):
            ask(name, runtime_id=runtime_id)

    assert heard.names == ["runtimes.load"]
