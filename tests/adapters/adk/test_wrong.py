"""What is wrong is refused by each verb of the session service, and hides no session."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event_actions import EventActions
from google.adk.sessions.base_session_service import GetSessionConfig

import tenure.asyncio
from tenure.adapters.adk import TenureSessionService
from tenure.errors import InvalidInput
from tests.adapters.sweep import sweep, verbs_of

from .scenarios import event

WHERE: dict[str, Any] = {"app_name": "app", "user_id": "u", "session_id": "s"}


@pytest.mark.slow
def test_a_wrong_argument_is_a_typed_error_and_hides_no_session(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            service = TenureSessionService(store)
            session = await service.create_session(**WHERE, state={"a": 1, "user:b": 2, "app:c": 3})
            await service.append_event(session, event("e", 5_000.0, d=4))

            async def intact() -> Any:
                listed = await service.list_sessions(app_name="app")
                return await service.get_session(**WHERE), [
                    each for each in listed.sessions if (each.user_id, each.id) == ("u", "s")
                ]

            async def append(**arguments: Any) -> None:
                # each time from a session object and an event of its own
                fresh = await service.get_session(**WHERE)
                given: dict[str, Any] = {"session": fresh, "event": event("e", 5_000.0, d=4)} | arguments
                await service.append_event(**given)

            user = {"app_name": "app", "user_id": "u"}
            verbs = {
                "create_session": (service.create_session, {**WHERE, "state": {}}),
                "get_session": (service.get_session, {**WHERE, "config": GetSessionConfig()}),
                "list_sessions": (service.list_sessions, user),
                "delete_session": (service.delete_session, WHERE),
                "get_user_state": (service.get_user_state, user),
                "append_event": (append, {"session": None, "event": None}),
            }
            assert set(verbs) == verbs_of(TenureSessionService)
            assert await sweep(verbs, intact, typed=(AlreadyExistsError, SessionNotFoundError, StaleSessionError)) > 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("id", b"\xff"),
        ("timestamp", "then"),
        ("timestamp", float("nan")),
        ("author", 3),
        ("content", object()),
        ("actions", None),
        ("actions", EventActions.model_construct(state_delta={3: 4})),
        ("actions", EventActions.model_construct(state_delta=None)),
    ],
)
def test_an_event_whose_field_was_set_to_anything_is_refused(tmp_path: Path, field: str, wrong: Any) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            service = TenureSessionService(store)
            session = await service.create_session(**WHERE)
            spoilt = event("e", 5_000.0, d=4)
            setattr(spoilt, field, wrong)
            with pytest.raises(InvalidInput):
                await service.append_event(session, spoilt)
            assert (session.events, session.state) == ([], {})
            for name, value in (("state", None), ("events", None), ("last_update_time", "now"), ("id", b"s")):
                odd = session.model_copy()
                setattr(odd, name, value)
                with pytest.raises(InvalidInput):
                    await service.append_event(odd, event("e", 5_000.0))
            assert await service.get_session(**WHERE) == session

    asyncio.run(main())
