"""What strands ask at the same moment: the same statement of many of them goes as one.

Strands neither read nor write what another one writes, so the statements of different strands may go in any order; those of one
stay in theirs. So statements of the same name are gathered over all strands, and each gathering is sent as one statement for
all of them: of 1,400 statements for the inputs of 100 runtimes some 30 are left.

An error of one is of no strand that could be named, as any error of strands: their group is carried out again in savepoints.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.engines.engine import FailedLate, Row, SqlValue
from tenure.persistence.engines.postgres.protocol.many import Many, array_of_all, many_of
from tenure.persistence.engines.postgres.protocol.translation import Statement
from tenure.persistence.engines.postgres.protocol.values import BINARY
from tenure.persistence.engines.postgres.protocol.wire import Answer, Answered, Command, command

MOST_BYTES: Final = 8 * 2**20
"""So large is one statement for many, unless it is for one alone."""


@final
class Asked:
    """A named statement with its parameters, which are not encoded yet."""

    __slots__ = ("name", "parameters", "statement")

    def __init__(self, name: str, statement: Statement, parameters: Mapping[str, SqlValue]) -> None:
        """Keep them."""
        self.name = name
        self.statement = statement
        self.parameters = parameters


Sent = Command | Asked


@final
class Share:
    """What is one strand's of an answer.

    Attributes:
        count: How many rows.
    """

    __slots__ = ("_rows", "count")

    def __init__(self, rows: list[Row]) -> None:
        """Keep its rows."""
        self._rows = rows
        self.count = len(rows)

    def rows(self) -> list[Row]:
        """Its rows."""
        return self._rows


@final
@frozen(kw_only=True, slots=True, eq=False)
class Gathering:
    """One command.

    Attributes:
        command: What is sent.
        asking: The strands that wait for its answer, by their places, in the order of their parameters.
        many: Its form where it is for many.
    """

    command: Command
    asking: Sequence[int]
    many: Many | None

    def shares(self, answer: Answer) -> Iterator[tuple[int, Answered]]:
        """The answer to each strand that waits for one. Raises `FailedLate`: a text in it is none."""
        if self.many is None:
            yield from ((lane, answer) for lane in self.asking)
            return
        try:
            rows = answer.rows() if self.asking else []
        except UnicodeDecodeError as exc:
            raise FailedLate(str(exc)) from exc
        if self.many.same:
            yield from ((lane, Share(list(rows))) for lane in self.asking)
            return
        found: dict[int, list[Row]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(row[1:])
        yield from ((lane, Share(found.get(place, []))) for place, lane in enumerate(self.asking, 1))


def gathered(lanes: Sequence[Sequence[Sent]], asking: int, types: Mapping[str, tuple[int, ...]]) -> Iterator[Gathering]:
    """What lanes send, in an order that keeps that of each.

    Args:
        lanes: What each sends. The lists stay as they are.
        asking: So many of them, the first, wait for the answer to their last statement.
        types: The types of the parameters of statements, where the server has said them: no other one is sent for many.

    Raises:
        FailedLate: A value cannot be stored; of which strand is not asked.
    """
    try:
        for name, waits, places in _alike(lanes, asking):
            sent = [lanes[lane][at] for lane, at in places]
            by_lane = [lane for lane, _ in places] if waits else []
            yield from _commands(name, sent, by_lane, types)
    except (InvalidInput, TypeError, ValueError, OverflowError, struct.error) as exc:
        raise FailedLate(str(exc)) from exc


def _alike(lanes: Sequence[Sequence[Sent]], asking: int) -> Iterator[tuple[str, bool, list[tuple[int, int]]]]:
    """Statements of one name that may go together, again and again those of which there are most."""
    at = [0] * len(lanes)
    heads: dict[tuple[str, bool], list[int]] = {}
    ready: Sequence[int] = range(len(lanes))
    while True:
        for lane in ready:
            sent = lanes[lane]
            if at[lane] < len(sent):
                waits = lane < asking and at[lane] + 1 == len(sent)
                heads.setdefault((sent[at[lane]].name, waits), []).append(lane)
        if not heads:
            return
        most = max(heads, key=lambda each: len(heads[each]))
        ready = heads.pop(most)
        yield *most, [(lane, at[lane]) for lane in ready]
        for lane in ready:
            at[lane] += 1


def _commands(
    name: str, sent: Sequence[Sent], lanes: Sequence[int], types: Mapping[str, tuple[int, ...]]
) -> Iterator[Gathering]:
    found = types.get(name)
    asked = [each for each in sent if isinstance(each, Asked)]
    many = many_of(asked[0].statement, found) if found is not None and len(asked) == len(sent) > 1 else None
    if many is not None and (many.answers or not lanes) and not _is_doubled(many, asked):
        yield from _for_many(name, many, asked, lanes)
        return
    for place, each in enumerate(sent):
        one = each if isinstance(each, Command) else command(name, each.statement, each.parameters, typed=True)
        yield Gathering(command=one, asking=lanes[place : place + 1], many=None)


def _is_doubled(many: Many, asked: Sequence[Asked]) -> bool:
    """Whether two would update the same row: of such the last one counts, which one statement would not see to."""
    return many.key is not None and len({each.parameters[many.key] for each in asked}) < len(asked)


def _for_many(name: str, many: Many, asked: Sequence[Asked], lanes: Sequence[int]) -> Iterator[Gathering]:
    rows = [each.parameters for each in asked]
    names = many.statement.names
    values = [array_of_all(kind, [row[each] for row in rows]) for each, kind in zip(names, many.types, strict=True)]
    if sum(map(len, values)) > MOST_BYTES and len(asked) > 1:
        half = len(asked) // 2
        yield from _for_many(name, many, asked[:half], lanes[:half])
        yield from _for_many(name, many, asked[half:], lanes[half:])
        return
    for_many = f"{name} of many" if names else name
    one = Command(name=for_many, statement=many.statement, values=values, formats=[BINARY] * len(values))
    yield Gathering(command=one, asking=lanes, many=many)
