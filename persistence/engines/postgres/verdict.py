"""The verdict on a COMMIT whose answer was lost: whether the group landed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Final, final

from tenure.persistence.engines.engine import Again, Group, Moved, Row, UnknownOutcome
from tenure.persistence.model.values import DurabilityClass

from .connecting import PAUSE_S, REFUSALS, Connecting
from .locks import end_stalled
from .protocol.errors import LOCK_NOT_AVAILABLE, Lost
from .protocol.translation import translated
from .protocol.wire import Wire, command
from .server.standbys import STANDBYS_THERE, waits_for_standbys

_VERDICT: Final = translated(
    "UPDATE hosts SET group_number = group_number WHERE host = :host AND incarnation = :incarnation RETURNING group_number"
)


@final
class _Held(Again):
    """The server answers, and the lost connection still has the row of the host: it waits for a disk, or for a standby."""


@final
class Verdict:
    """Asks a new connection.

    Attributes:
        closed: Whether the store closes: it is not waited for any longer.
    """

    def __init__(self, connecting: Connecting) -> None:
        """Connect to nothing yet."""
        self._connecting = connecting
        self.closed = False

    def of(self, group: Group | None, lost: str) -> Wire:
        """Return, with a new connection, where a group landed whose COMMIT was sent and not answered.

        Writing the host's row waits for the old connection, whose group wrote it first, whatever of that is still on its
        way: when it goes through, nothing more can come of that group. It is another commit, and where commits wait for
        a standby, that one has the group too. So it is waited for as long as the server says that the old one has the row.

        Raises:
            Again: It did not land.
            UnknownOutcome: No server answered for `Limits.verdict_s`.
            Moved: What answers is another server, or on another timeline, or does not know this host, whose row would stay: the
                verdict there is for who opens the store anew.
        """
        if group is None:
            message = f"the connection was lost: {lost}"
            raise Again(message)  # it may have landed, as the row of a host that does not exist: that one is judged
        give_up_at = time.monotonic() + self._connecting.limits.verdict_wait_s
        while True:
            try:
                wire, number = self._number_of(group)
                break
            except Moved as exc:
                raise Moved(str(exc), in_doubt=True) from exc
            except REFUSALS as exc:
                if isinstance(exc, _Held):
                    give_up_at = time.monotonic() + self._connecting.limits.verdict_wait_s
                if time.monotonic() >= give_up_at or self.closed:
                    message = f"COMMIT: {lost}; and no server says what came of it: {exc}"
                    raise UnknownOutcome(message) from exc
            threading.Event().wait(PAUSE_S)
        if number is None:
            wire.close()
            message = f"host {group.host} is not known there: another store stands where this one stood"
            raise Moved(message, in_doubt=True)
        if number < group.number:
            wire.close()
            message = f"the connection was lost before the group landed: {lost}"
            raise Again(message)
        return wire

    def _number_of(self, group: Group) -> tuple[Wire, int | None]:
        """The number of the host's last group that landed, and who says so. Raises as `Connecting.connect`."""
        wire = self._connecting.wire(writes=True)
        try:
            before, answer = wire.exchange(
                [STANDBYS_THERE, command("verdict", _VERDICT, {"host": group.host, "incarnation": group.incarnation})]
            )
        except Lost as exc:
            raise Again(str(exc)) from exc
        if answer.error is not None and answer.error.state == LOCK_NOT_AVAILABLE:
            with suppress(Lost), closing(wire):  # it is asked for again with the next verdict
                wire.exchange([end_stalled(self._connecting.sessions, self._connecting.limits.lease_s)])
            raise _Held(answer.error.message)
        if answer.error is not None or not self._is_confirmed(wire, before.rows()):
            wire.close()
            raise Again("no standby has confirmed it" if answer.error is None else answer.error.message)
        rows = answer.rows()
        return wire, int(rows[0][0]) if rows else None

    def _is_confirmed(self, wire: Wire, before: Sequence[Row]) -> bool:
        """Whether a standby has what was just written, where one has to: its wait was not cancelled, and there was one.

        The names are asked for once more: where they were emptied since, nothing was waited for.
        """
        if self._connecting.durability is not DurabilityClass.QUORUM:
            return True
        if wire.warnings:
            return False
        try:
            (answer,) = wire.exchange([STANDBYS_THERE])
        except Lost as exc:
            raise Again(str(exc)) from exc
        return answer.error is None and waits_for_standbys(before) and answer.rows() == before
