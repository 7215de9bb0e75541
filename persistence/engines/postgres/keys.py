"""Keys of new rows: taken from the sequences of the tables in blocks, under the locks of a group.

So they rise along the commits of one runtime whichever hosts write them, and no insert waits for its key. What is left of a
block is not used by a later group: another host may have written higher keys since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, final

from tenure.errors import Corrupt
from tenure.persistence.engines.statements import table_of

from .protocol.translation import translated
from .protocol.wire import Answered, Command, command

IN_TURN: Final = frozenset({"output_chunks"})
"""Tables that are read by their keys from a place on, over all runtimes: their rows land in the order of their keys, because
groups that write them follow one another."""

LEAST: Final = 4
"""Keys of the smallest block."""

REMEMBERED: Final = 8
"""For so many groups the keys of a table are asked for with BEGIN after one has used them: groups that begin runs and groups
that end them take turns, and one that had to ask on its way would wait for another round trip."""


_TURN: Final = translated("SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext(:table))")


@final
class Keys:
    """The keys that a group may still give."""

    def __init__(self, statements: Mapping[str, str], columns: Mapping[str, str]) -> None:
        """`columns`: by table, the column that its sequence fills."""
        self._sql = statements
        self._columns = columns
        self._tables: dict[str, str] = {}
        self._free: dict[str, list[int]] = {}
        self._given: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()  # by table: how many are on their way; strands ask side by side
        self._recent: dict[
            str, tuple[int, int]
        ] = {}  # by table: how many the last group took that took any, and its age

    def begin(self) -> list[tuple[str, Command]]:
        """A group begins: the tables that the last few wrote, each with what asks for as many keys."""
        aged = {table: (count, age + 1) for table, (count, age) in self._recent.items() if age + 1 < REMEMBERED}
        self._recent = aged | {table: (count, 0) for table, count in self._given.items() if table not in IN_TURN}
        self._free.clear()
        self._given.clear()
        self._asked.clear()
        return [(table, self.asking(table, count)) for table, (count, _) in sorted(self._recent.items())]

    def asking(self, table: str, least: int = LEAST) -> Command:
        """What asks the server for keys of a table."""
        sequence = f"{table}_{self._columns[table]}_seq"
        sql = f"SELECT nextval('{sequence}') FROM generate_series(1, :count)"  # noqa: S608 - the name of a sequence of ours
        count = max(least, LEAST)
        self._asked[table] += count
        return command(f"keys.{table}", translated(sql), {"count": count})

    def take(self, table: str, answer: Answered) -> None:
        """The server has given keys. Raises `Corrupt`."""
        keys = [key for (key,) in answer.rows()]
        if not all(isinstance(key, int) for key in keys):
            raise Corrupt(record="database", key=f"the keys of {table}", detail="they are no numbers")
        self._asked[table] -= len(keys)
        free = self._free.setdefault(table, [])
        free.extend(keys)
        free.sort(reverse=True)  # given from the end, so that they rise, also where two strands have asked

    def table(self, insert: str) -> str:
        """The table that a named insert writes."""
        found = self._tables.get(insert)
        if found is None:
            found = self._tables[insert] = table_of(self._sql[insert])
        return found

    def next(self, table: str) -> int | None:
        """A key; None where more must be asked for."""
        free = self._free.get(table)
        if not free:
            return None
        self._given[table] += 1
        return free.pop()

    def more(self, table: str) -> Sequence[Command]:
        """What asks for more than were used so far: at most as many round trips as a group has doublings.

        What other strands have asked for counts: together they ask for twice as many too, and not each of them.
        """
        asked = self.asking(table, 2 * self._given[table] - self._asked[table])
        return [command("keys.turn", _TURN, {"table": table}), asked] if table in IN_TURN else [asked]
