"""`TenureSessionService`: the session service of the Agent Development Kit over a store."""

from __future__ import annotations

import asyncio
from typing import Any, final
from weakref import WeakValueDictionary

from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.platform import uuid as platform_uuid
from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig, ListSessionsResponse
from google.adk.sessions.session import Session

from tenure.adapters.checking import check_value, checked
from tenure.adapters.fronts import AnyStore, Caller

from .records import Key, mark, user_stem
from .sessions import Sessions


@final
@checked
class TenureSessionService(BaseSessionService):
    """Keeps sessions in a store: ``Runner(..., session_service=TenureSessionService(store))``.

    What a verb has written is on disk when it returns, in one commit where it does not say otherwise. The store is opened and
    closed by its user; several services, processes and hosts may use it at once. Errors are the framework's own where there is
    one, and else those of `tenure.errors`.
    """

    def __init__(self, store: AnyStore) -> None:
        """Bind to an open store: of `tenure.asyncio`, on whose loop this is called, or of `tenure.sync`.

        Raises:
            InvalidInput: It is another object, or there is no running loop for it.
        """
        self._caller = Caller(store)
        self._sessions = Sessions(self._caller.values)
        self._turns = WeakValueDictionary[tuple[int, Key], asyncio.Lock]()

    async def create_session(
        self, *, app_name: str, user_id: str, state: dict[str, Any] | None = None, session_id: str | None = None
    ) -> Session:
        """Create a session, with what `state` says of it, of the user (``user:``) and of the application (``app:``).

        Raises:
            AlreadyExistsError: There is one of this id.
            InvalidInput: An id or a name is none, or there are more than 9,999 values of users and applications.
            PayloadTooLarge: The state of the session, or a value, is larger than `Limits.payload_bytes`.
        """
        named = "" if session_id is None else session_id.strip()
        key = app_name, user_id, named or platform_uuid.new_uuid()
        return await self._caller.awaited(self._sessions.create(key, state or {}))

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Session | None:
        """A session with its events, or with the last that `config` asks for, oldest first; None where there is none.

        Reads its head and events as they stood at one moment, and the other two states after it.
        """
        key = app_name, user_id, session_id.strip()
        return await self._caller.awaited(self._sessions.get(key, config or GetSessionConfig()))

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        """The sessions of a user, or of all, without their events: the one that was updated last comes last."""
        return ListSessionsResponse(sessions=await self._caller.awaited(self._sessions.list_all(app_name, user_id)))

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Delete a session, if it is there; the states of users and applications stay.

        It is gone with the first commit. Two more delete its events; where a crash comes before them, the next
        `create_session` or `delete_session` of this id does that.
        """
        await self._caller.awaited(self._sessions.delete((app_name, user_id, session_id.strip())))

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """The state of a user, without the prefix of its names."""
        return await self._caller.awaited(self._sessions.values_of(user_stem(app_name, user_id)))

    async def append_event(self, session: Session, event: Event) -> Event:
        """Append an event to the session, on disk and in `session`, which is as it was where this raises.

        A partial event, and what it says under ``temp:``, is not stored. An event that has landed already writes nothing.

        Raises:
            SessionNotFoundError: There is no such session.
            StaleSessionError: `session` is not what is stored: another writer came first.
            InvalidInput: It cannot be stored.
            PayloadTooLarge: The event, or the state with it, is larger than `Limits.payload_bytes`.
        """
        if event.partial:
            return event
        _check_fields(session, event)
        key = session.app_name, session.user_id, session.id
        # Branches that share a session object append in turn, as each changes what the next one is compared with.
        turn = self._turns.setdefault((id(asyncio.get_running_loop()), key), asyncio.Lock())
        async with turn:
            landed = await self._caller.awaited(self._sessions.append(key, session, event))
            if landed is None:
                return event
            event = await super().append_event(session=session, event=event)
            session.last_update_time = landed.updated_at
            mark(session, landed)
            return event


def _check_fields(session: Session, event: Event) -> None:
    """Fields that are used after the commit, or compared before it, and may have been set to anything."""
    check_value(session.state, dict[str, Any], "session.state")
    check_value(session.events, list[Any], "session.events")
    check_value(session.last_update_time, float, "session.last_update_time")
    check_value(event.actions, EventActions, "event.actions")
    check_value(event.actions.state_delta, dict[str, Any], "event.actions.state_delta")
