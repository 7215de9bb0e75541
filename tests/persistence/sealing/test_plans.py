"""Every statement seals what it writes and unseals what it reads: found out from its text, and held here."""

from __future__ import annotations

import re
from typing import Final

import apsw
import pytest

from tenure.persistence.engines.sealing.columns import CONTENTS, DIGESTS
from tenure.persistence.engines.sealing.plans import EXPRESSIONS, PASSED, plan_of, plans
from tenure.persistence.engines.sqlite.origins import Origins, origins_of
from tenure.persistence.engines.statements import load_statements, schema_files, sealed_tables

SEALED: Final = {*CONTENTS, *DIGESTS}

STATEMENTS: Final = {name: sql for name, sql in load_statements().items() if not name.startswith(PASSED)}

CLEAR: Final = {
    # Ids, keys, and names of what there is
    *(
        "store_id",
        "incarnation",
        "host_name",
        "boot_id",
        "process_start",
        "files",
        "runtime_id",
        "session_id",
        "node_id",
    ),
    *(
        "turn_id",
        "run_id",
        "input_id",
        "schedule_id",
        "request_id",
        "stream_id",
        "execution_id",
        "tenant_id",
        "claim_id",
    ),
    *("owner_id", "lease_token", "epoch", "response_id", "correlation_id", "call_key", "idempotency_key", "source_key"),
    *(
        "supersession_key",
        "merge_key",
        "value_key",
        "fact_key",
        "key_id",
        "name",
        "kind",
        "model",
        "source",
        "uri",
        "target",
    ),
    *("current_frame", "version", "place", "speech", "value", "slot", "form", "local_time", "batches", "own"),
    # What a row is: phases, reasons, times, how it may run
    *(
        "state",
        "held",
        "failures",
        "phase",
        "reason",
        "history",
        "lane",
        "durability",
        "delivery",
        "lost_how",
        "outcome",
        "ways",
    ),
    *(
        "status",
        "repeat",
        "drawn",
        "asked_after",
        "refused",
        "boundary",
        "event",
        "skipped",
        "scope",
        "on_end",
        "verb",
        "successor",
        "fitted",
    ),
    *("promotion_id", "logical_hash"),  # of rows as they are stored, sealed ones too
    *("drain", "max_owned"),  # what a host gives away, and kinds with how many of each it may own
    *("extra", "terms", "fits", "facts", "input_ids", "last_input", "written_at"),
    # What seals the rest
    *("marker", "store_key"),
}
"""Columns with texts or bytes that stand in the clear, in whatever table; the docs list them by sort."""

OF_NUMBERS: Final = {("queue_starts", "digest"), ("node_floor", "digest"), ("promotion", "digest")}
"""Digests that tell nothing of any content."""

CLEAR_NAMES_OF_CONTENTS: Final = {
    ("bindings", "facts"),
    ("own_values", "value"),
    ("facts", "value"),
    ("state_values", "value"),
}
"""Contents whose column has the name of one that is in the clear elsewhere."""


ONLY_LOOKED_AT: Final = {
    *("attachments.end_own_removal", "attachments.end_removal", "attachments.named"),  # for its digest
    *("attachments.removal", "attachments.stamped", "checkpoints.blob"),
    *(
        "entries.doubtful",
        "own_state.heads",
        "own_state.newest",
        "own_state.trim_deleted",
        "prunable.is_dead",
    ),  # whether NULL
    *("sends.that_stand", "verification.dead_letters", "verification.requests", "verification.strays"),
    *("graph_show.parts", "journal.sizes", "output.sizes", "output.sizes_of_all", "queue.standing"),  # its length
    "queue.standing_of_session",
    *(name for name, _ in EXPRESSIONS),
}
"""Statements that read what is sealed and do not give it back as it is; all but the last look at it without reading it."""


@pytest.fixture(scope="module")
def origins() -> dict[str, Origins]:
    return dict(origins_of(STATEMENTS))


def test_every_column_of_texts_or_bytes_is_sealed_or_said_to_be_clear() -> None:
    connection = apsw.Connection(":memory:")
    for text in schema_files():
        connection.execute(text)
    columns = connection.execute(
        "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c"
        " WHERE m.type = 'table' AND c.type IN ('TEXT', 'BLOB')"
    ).fetchall()

    undecided = {each for each in columns if each not in SEALED and each[1] not in CLEAR} - OF_NUMBERS

    assert not undecided, "say of each whether it is sealed (engines/sealing/columns.py) or stays in the clear, and why"
    assert {*columns} >= SEALED
    twice = {each for each in SEALED if each[1] in CLEAR}
    assert twice == CLEAR_NAMES_OF_CONTENTS


def test_what_a_statement_reads_of_what_is_sealed_it_unseals(origins: dict[str, Origins]) -> None:
    left = {name for name, found in origins.items() if (found.read & SEALED) - {*found.given}}

    assert left == ONLY_LOOKED_AT


def test_each_place_of_an_expression_is_one_whose_origin_is_not_known(origins: dict[str, Origins]) -> None:
    for (name, at), columns in EXPRESSIONS.items():
        assert set(columns) <= origins[name].read
        assert origins[name].given[at] in (None, *columns)


def test_a_content_is_written_as_a_parameter_alone_and_compared_with_nothing(origins: dict[str, Origins]) -> None:
    past = set[str]()
    for name, sql in STATEMENTS.items():
        planned = plan_of(name, sql, origins[name])
        written = {each.column for each in planned.contents}
        table = re.match(r"(?:INSERT INTO|UPDATE) (\w+)", sql)
        if table is None:
            continue
        for of, column in CONTENTS:
            said = re.search(rf"\b{column}\b(?! = excluded)", sql.partition("RETURNING")[0])
            if of == table[1] and said is not None and (of, column) not in written:
                past.add(name)

    assert past == NOT_WRITTEN, "what these write of a content goes past the codec"


NOT_WRITTEN: Final = {
    "requests.tell",  # '{}', which is no content
    *("erasing.blank_ask", "erasing.blank_entry", "erasing.blank_input", "erasing.blank_send"),  # NULL
    *("sends.drop_payload", "sends.landed"),  # NULL
}
"""Statements that name a content without a parameter for it."""


def test_no_statement_changes_which_row_a_content_is_of() -> None:
    moved = {
        (name, key)
        for name, sql in STATEMENTS.items()
        for (table, _), keys in CONTENTS.items()
        for key in keys
        if (set_ := re.match(rf"UPDATE {table}\s+SET\s(.*?)(?:\bWHERE\b|$)", sql, re.DOTALL)) is not None
        and re.search(rf"\b{key} = ", set_[1])
    }

    assert moved == set(), "leave that column out of the key (engines/sealing/columns.py)"


def test_each_parameter_that_is_sealed_says_which_row_it_is_of() -> None:
    unknown = {
        (name, each.column)
        for name, plan in plans().items()
        for each in plan.contents
        if not all(each.key) and each.key
    }

    assert unknown == set()


def test_every_table_with_something_sealed_can_be_gone_over() -> None:
    assert {*sealed_tables()} == {table for table, _ in SEALED}
