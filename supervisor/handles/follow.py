"""Following the output of one runtime, or of all: from any handle, here or on another host."""

from __future__ import annotations

from functools import partial
from typing import final

from tenure.errors import InvalidInput
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox import outcomes
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.inputs.phases import is_terminal
from tenure.persistence.model.numbers import is_a
from tenure.persistence.model.output import check_channel, place_of_position, position_of
from tenure.persistence.model.values import InputId, LogicalRuntimeId
from tenure.persistence.store import Store
from tenure.supervisor.accepting.tickets import Ticket
from tenure.supervisor.output.following import Followers
from tenure.supervisor.output.reader import Ended, OutputReader, ends_with_run


@final
class Follow:
    """Makes the readers of a host."""

    def __init__(self, store: Store, followers: Followers) -> None:
        """Read this store, beside those who follow it here."""
        self._store = store
        self._followers = followers

    def reader(
        self,
        runtime_id: LogicalRuntimeId | None,
        after: str | None,
        channel: str | None,
        ticket: Ticket | None = None,
        run_id: str | None = None,
        *,
        events: bool = False,
    ) -> OutputReader:
        """A reader; see `Handle.follow`."""
        position = None if after is None else position_of(place_of_position(after))
        wanted = None if channel is None else check_channel(channel)
        ended = None if runtime_id is None else _end(runtime_id, ticket, run_id)
        wants_events: bool = check_value(events, bool, "events")
        return OutputReader(self._store, self._followers, runtime_id, position, wanted, ended, events=wants_events)


def _end(runtime_id: LogicalRuntimeId, ticket: Ticket | None, run_id: str | None) -> Ended | None:
    if ticket is not None and run_id is not None:
        raise InvalidInput(detail="give either a ticket or a run id", field="run_id")
    if run_id is not None:
        if not is_a(run_id, str):
            raise InvalidInput(detail="a run id is a text", field="run_id")
        return ends_with_run(runtime_id, run_id)
    if ticket is None:
        return None
    if not is_a(ticket, Ticket) or ticket.runtime_id != runtime_id:
        raise InvalidInput(detail="it is not a ticket of this runtime", field="ticket")
    return partial(_input_ended, runtime_id=runtime_id, input_id=ticket.input_id)


def _input_ended(statements: Statements, runtime_id: LogicalRuntimeId, input_id: InputId) -> bool:
    stored = outcomes.find_outcome(statements, runtime_id, input_id)
    return stored is None or is_terminal(stored.phase)
