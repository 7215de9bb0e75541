"""What a facet promises across crashes, as a value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, final

from attrs import field, frozen

from proof.stories.words import Words
from tenure.persistence.commits.commit import Change
from tenure.persistence.engines.engine import Statements
from tenure.persistence.writing.inside import Inside
from tenure.testing.history import History

Promised = Sequence[tuple[str, Any]]


@final
@frozen(kw_only=True, slots=True)
class Rows:
    """A store after a crash, as a facet looks at it.

    Attributes:
        inside: For SQL over everything.
        history: What was promised.
    """

    inside: Inside
    history: History

    @property
    def statements(self) -> Statements:
        """For the facet's own reads."""
        return self.inside.statements

    def of(self, sql: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        return self.inside.rows(sql, *bindings)

    def none(self, sql: str, what: str) -> None:
        """Raise if the query finds anything."""
        found = self.of(sql)
        assert not found, f"{what}: {found[:3]}"


Story = Callable[[Words], Awaitable[None]]
"""Commits that make sense one after the other."""

Day = Callable[[Words, int], Awaitable[None]]
"""The same, of the day of a number."""


def _nothing(_rows: Rows) -> None:
    return


@final
@frozen(kw_only=True, slots=True)
class FacetProof:
    """What one facet promises.

    Attributes:
        name: The facet.
        promises: For each of its changes what the answer promises: subjects and values.
        check: Raises if a promise is broken or rows contradict each other.
        quiet: Of its changes those that may write nothing.
        story: Commits each of its changes at least once, unless the story of another facet does. Stories follow one another
            in the order of `PROOFS`, over the same store.
        everyday: What there is of it each day, after the stories.
    """

    name: str
    promises: Mapping[type[Change], Callable[[Any, Any], Promised]] = field(factory=dict[type[Change], Any])
    check: Callable[[Rows], None] = _nothing
    quiet: tuple[type[Change], ...] = ()
    story: Story | None = None
    everyday: Day | None = None
