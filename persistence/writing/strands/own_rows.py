"""What a strand may ask and write: the rows of the runtimes that its commits name, and nothing else.

A statement is here where all rows that it reads or writes are those of one runtime, of a run, a conversation or an input of
it, named by a parameter; or where no statement that is here writes what it reads. A commit that needs another statement, or the
row of another runtime, reaches further (`ReachesFurther`): its group is carried out in another order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, final

from tenure.persistence.commits.transaction import Writing
from tenure.persistence.engines.engine import Row, SqlValue
from tenure.persistence.engines.statements import rows_of

OWN_ROWS: Final = frozenset(
    f"{facet}.{verb}"
    for facet, verbs in {
        "asides": "count delete insert load mark",
        "became": "of_run of_runtime wanted",
        "chain": "insert",
        "deadlines": "all_late expire expire_members",
        "entries": "catch doubt doubtful forget_caught forget_doubtful forget_unbegun record sealed settle",
        "follow_ups": "followed_run followed_runtime",
        "holds": "all",
        "inputs": (
            "any_staged any_steering batch bind by_key consume consume_one count_delayed_to count_unfinished_to "
            "describe exhaust fail insert insert_payload joined reject release replace requeue_staged restage "
            "stage_accepted stage_oldest stage_oldest_of_any_lane stage_steered to_front unbind"
        ),
        "labels": "insert of_runtime seal set",
        "moves": "insert",
        "own_state": "advance begin head insert newest note replaced trim trim_deleted",
        "receipts": "exists insert",
        "results": "insert member",
        "runs": "begin by_id delete end entered insert load update what_waits",
        "runtimes": "insert load progress update",
        "sends": "insert lowest",
        "sessions": "by_id create insert_node load update",
        "spoken": "begin delete floor holding insert kind last of_run oldest",
        "versions": "recorded",
    }.items()
    for verb in verbs.split()
)
"""A conversation alone is looked for by an id that two strands may name. One that both make the server refuses by its unique
index: the group is tried in order. One that is found was perhaps made beside it: its commit has written by then
(`newcomers.make`), so the group is tried in savepoints. The first commit that names it has it either way."""


class ReachesFurther(Exception):
    """A commit needs more than the rows of the runtimes that it names. Nothing of its group has landed.

    Attributes:
        commits: The places of such commits.
    """

    def __init__(self, commits: Collection[int] = ()) -> None:
        """Of these commits."""
        super().__init__(sorted(commits))
        self.commits = commits


@final
class OwnRows:
    """Statements as a strand has them. Each raises `ReachesFurther`.

    Attributes:
        names: The runtimes that the strand may write.
    """

    def __init__(self, connection: Writing, names: Collection[str] = ()) -> None:
        """For these names, until there are others."""
        self._connection = connection
        self.names = names

    def one(self, name: str, /, **parameters: SqlValue) -> Row | None:
        """See `Statements.one`."""
        self._check(name, parameters)
        return self._connection.one(name, **parameters)

    def all(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.all`."""
        self._check(name, parameters)
        return self._connection.all(name, **parameters)

    def readable(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.readable`."""
        self._check(name, parameters)
        return self._connection.readable(name, **parameters)

    def write(self, name: str, /, **parameters: SqlValue) -> None:
        """See `WriteConnection.write`."""
        self._check(name, parameters)
        self._connection.write(name, **parameters)

    def run(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.run`."""
        self._check(name, parameters)
        return self._connection.run(name, **parameters)

    def insert(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.insert`."""
        self._check(name, parameters)
        return self._connection.insert(name, **parameters)

    def insert_all(self, name: str, /, **columns: Sequence[SqlValue]) -> None:
        """See `WriteConnection.insert_all`."""
        for row in rows_of(columns):
            self.insert(name, **row)

    def key(self, table: str, /) -> int:
        """See `WriteConnection.key`."""
        return self._connection.key(table)

    def _check(self, name: str, parameters: dict[str, SqlValue]) -> None:
        runtime_id = parameters.get("runtime_id")
        if name not in OWN_ROWS or (runtime_id is not None and runtime_id not in self.names):
            raise ReachesFurther
