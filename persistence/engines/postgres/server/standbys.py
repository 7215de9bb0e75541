"""Whether COMMIT waits for a standby, which may change beneath a connection at any moment.

Where the names of the standbys are emptied, a COMMIT that waits is let go as if one had confirmed it. So who asks before and
after it takes no other answer: they may have been emptied, and set again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from tenure.persistence.engines.engine import Again, Row, UnknownOutcome
from tenure.persistence.engines.postgres.protocol.wire import Answer, Command, plain

from .keeping import STANDBYS

STANDBYS_THERE: Final = plain(f"SELECT {STANDBYS}, CAST(pg_conf_load_time() AS text)")
"""Asks whether COMMIT waits for a standby, and when this session has read its settings last."""


def waits_for_standbys(rows: Sequence[Row]) -> bool:
    """What `STANDBYS_THERE` was answered: whether COMMIT waits for one."""
    return bool(rows) and bool(rows[0][0])


@final
class Standbys:
    """What the connection that writes asks around its groups.

    Attributes:
        asks: What is to be sent with the beginning of a group, and again with its end: nothing where no standby is awaited.
    """

    def __init__(self, *, awaited: bool) -> None:
        """Whether a commit has to wait for one."""
        self.asks: Sequence[Command] = [STANDBYS_THERE] if awaited else []
        self._before: Sequence[Row] = ()

    def begun(self, answers: Sequence[Answer]) -> None:
        """Take what `asks` was answered before a group. Raises `Again` where no standby is waited for."""
        for answer in answers:
            self._before = answer.rows()
            if not waits_for_standbys(self._before):
                raise Again("the server waits for no standby any more")

    def noted(self, answer: Answer) -> None:
        """Take what `STANDBYS_THERE` was answered before what need not wait for one."""
        self._before = answer.rows()

    def have_it(self, answers: Sequence[Answer], *, cancelled: bool) -> bool:
        """Whether a standby is known to have a group that landed, by what `asks` was answered after it.

        Raises:
            UnknownOutcome: Nothing waits for one any more.
        """
        for answer in answers:
            there = answer.rows()
            if not cancelled and not waits_for_standbys(there):
                message = "the server has stopped to wait for standbys: whether one has the group is not known"
                raise UnknownOutcome(message)
            if cancelled or there != self._before:  # then the names may have been emptied, and set again
                return False
        return True
