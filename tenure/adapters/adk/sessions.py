"""The verbs of the service as coroutines over `store.state`; they await nothing else."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final, final
from uuid import uuid4

import msgspec
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.platform import time as platform_time
from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.session import Session
from google.adk.sessions.state import State

from tenure.adapters.fronts import Values
from tenure.adapters.keys import part
from tenure.errors import Corrupt, ValueConflict

from .records import (
    VERSION,
    Head,
    Key,
    app_stem,
    decode,
    decoded_event,
    divided,
    encode,
    encoded_event,
    event_key,
    events_of,
    from_json,
    head_key,
    id_key,
    made,
    marker_of,
    time_of,
    to_json,
    user_stem,
)

_PAGE: Final = 200
_STALE: Final = "another writer has changed the session since it was read: get it again"


@final
class Sessions:
    """The verbs as coroutines over `store.state`; they await nothing else."""

    def __init__(self, values: Values) -> None:
        """Bind to the values of an open store."""
        self._values = values

    async def create(self, key: Key, state: dict[str, Any]) -> Session:
        """Create a session; see the service."""
        app_name, user_id, session_id = key
        own, shared = divided(app_name, user_id, state)
        head = Head(
            version=VERSION,
            app_name=app_name,
            user_id=user_id,
            session_id=session_id,
            serial=uuid4().hex,
            revision=0,
            updated_at=platform_time.get_time(),
            state=to_json(own),
            ended=False,
        )
        place = head_key(key)
        while True:
            try:
                await self._values.write({**shared, place: encode(head)}, expected={place: None})
            except ValueConflict:
                if not await self.delete(key, ended=True):
                    raise AlreadyExistsError(f"Session with id {session_id} already exists.") from None
            else:
                return await self._session(head, [])

    async def get(self, key: Key, config: GetSessionConfig) -> Session | None:
        """A session with the events that are asked for; None where there is none."""
        while True:
            head, _ = await self._head(key)
            if head is None or head.ended:
                return None
            events = await self._events(head, config.num_recent_events, config.after_timestamp)
            if events is not None:
                return await self._session(head, events)
            again, _ = await self._head(key)
            if again is not None and again.serial == head.serial and not again.ended:
                raise Corrupt(record="ADK session", key=head_key(key), detail="it has events that are not there")

    async def list_all(self, app_name: str, user_id: str | None) -> list[Session]:
        """The sessions of a user, or of all, without events, in the order of their last updates."""
        stem = f"adk.sessions:{part(app_name, 'app_name')}:" + (
            f"{part(user_id, 'user_id')}:" if user_id is not None else ""
        )
        heads = [decode(data, key) for key, data in await self._all(stem)]
        app = await self.values_of(app_stem(app_name))
        users = {name: await self.values_of(user_stem(app_name, name)) for name in {head.user_id for head in heads}}
        found = [made(head, [], app, users[head.user_id]) for head in heads if not head.ended]
        return sorted(found, key=lambda each: (each.last_update_time, each.user_id, each.id))

    async def delete(self, key: Key, *, ended: bool = False) -> bool:
        """Delete a session, where `ended` only one whose deletion had begun; False where it is another one."""
        place = head_key(key)
        while True:
            head, data = await self._head(key)
            if head is None:
                return True
            if ended and not head.ended:
                return False
            tombstone = encode(msgspec.structs.replace(head, ended=True, state=b"{}"))
            try:
                if not head.ended:
                    await self._values.write({place: tombstone}, expected={place: data})
                await self._values.delete_execution_state(events_of(head.serial))
                await self._values.write({place: None}, expected={place: tombstone})
            except ValueConflict:
                continue  # an event came first, or another deletion
            return True

    async def append(self, key: Key, session: Session, event: Event) -> Head | None:
        """The next head, which has landed; None where the event had landed before, and the session has it."""
        head, data = await self._head(key)
        if head is None or head.ended:
            raise SessionNotFoundError(f"Session {session.id} not found.")
        delta = event.actions.state_delta
        kept = {name: value for name, value in delta.items() if not name.startswith(State.TEMP_PREFIX)}
        stored = encoded_event(
            event.model_copy(update={"actions": event.actions.model_copy(update={"state_delta": kept})})
        )
        before = await self._revision_of(head, event.id)
        if before is not None and await self._stands(event_key(head, before), stored):
            # Landed before, for a caller that did not hear of it: its session takes it over where it stands right before.
            last = marker_of(session)
            return head if head.revision == before and last == f"{head.serial}:{before - 1}" else None
        if not await self._is_current(head, session):
            raise StaleSessionError(_STALE)
        own, shared = divided(session.app_name, session.user_id, kept)
        state = head.state if not own else to_json({**from_json(head.state, head_key(key)), **own})
        new = msgspec.structs.replace(head, revision=head.revision + 1, updated_at=event.timestamp, state=state)
        values: dict[str, bytes | None] = {
            **shared,
            head_key(key): encode(new),
            event_key(head, new.revision): stored,
            id_key(head, event.id): str(new.revision).encode(),
        }
        try:
            await self._values.write(values, expected={head_key(key): data})
        except ValueConflict:
            raise StaleSessionError(_STALE) from None
        return new

    async def _is_current(self, head: Head, session: Session) -> bool:
        """Whether a session object is of the head, by its mark; by its last event where it was made without one."""
        marker = marker_of(session)
        if marker is not None:
            return marker == head.marker
        if head.updated_at <= session.last_update_time:
            return True
        last = await self._events(head, 1, None)
        return [each.id for each in last or []] == [each.id for each in session.events[-1:]]

    async def values_of(self, stem: str) -> dict[str, Any]:
        """The state of a user or an application."""
        found: dict[str, Any] = {}
        for key, data in await self._all(stem):
            name, value = from_json(data, key)
            found[name] = value
        return found

    async def _all(self, stem: str) -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []
        while page := await self._values.items(stem, after=found[-1][0] if found else None, limit=_PAGE):
            found += page
            if len(page) < _PAGE:
                break
        return found

    async def _head(self, key: Key) -> tuple[Head | None, bytes | None]:
        place = head_key(key)
        data = (await self._values.get_all([place])).get(place)
        return (None if data is None else decode(data, place)), data

    async def _revision_of(self, head: Head, event_id: str) -> int | None:
        place = id_key(head, event_id)
        found = (await self._values.get_all([place])).get(place)
        return None if found is None else int(found)

    async def _stands(self, key: str, data: bytes) -> bool:
        return (await self._values.get_all([key])).get(key) == data

    async def _events(self, head: Head, last: int | None, since: float | None) -> list[Event] | None:
        """Events up to a head, oldest first: the last ones, none of before a time; None where some have been deleted."""
        left, most = head.revision, head.revision if last is None else min(last, head.revision)
        found: list[Event] = []
        place = event_key(head, head.revision + 1)
        while left and len(found) < most:
            # Times need not rise with the revisions: where one is asked for, all are looked at until enough are found.
            limit = min(left, _PAGE, most - len(found) if since is None else _PAGE)
            page = await self._values.items(f"{events_of(head.serial)}:n:", after=place, limit=limit, reverse=True)
            if not page:
                return None
            fit = (each for each in page if since is None or time_of(each[1], each[0]) >= since)
            found += [decoded_event(data, key) for key, data in islice(fit, most - len(found))]
            place, left = page[-1][0], left - len(page)
        return found[::-1]

    async def _session(self, head: Head, events: list[Event]) -> Session:
        app = await self.values_of(app_stem(head.app_name))
        user = await self.values_of(user_stem(head.app_name, head.user_id))
        return made(head, events, app, user)
