"""What a session service is asked for, and what it is seen to answer: the same calls for theirs and for ours.

A scenario is a coroutine that takes a `Seen`, over which it calls the service and notes what came of it. Each call of `create`
has a time of its own, and ids are counted, so what two services answer is equal where they agree.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, Final

from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig
from google.adk.sessions.session import Session
from google.genai import types

from tests.adapters.comparing import Scenarios


def event(name: str, at: float, text: str = "", /, **state: Any) -> Event:
    return Event(
        id=name,
        invocation_id="inv",
        author="user",
        timestamp=at,
        content=types.Content(role="user", parts=[types.Part(text=text or name)]),
        actions=EventActions(state_delta=state),
    )


def names(**values: Any) -> dict[str, Any]:
    """A state whose names have a prefix: ``app_x`` is ``app:x``."""
    return {
        name.replace("_", ":", 1) if name.startswith(("app_", "user_", "temp_")) else name: value
        for name, value in values.items()
    }


def plain(value: Any) -> Any:
    if isinstance(value, Session):
        return {
            "id": value.id,
            "of": (value.app_name, value.user_id),
            "state": dict(sorted(value.state.items())),
            "events": [each.model_dump(exclude_none=True) for each in value.events],
            "at": value.last_update_time,
        }
    if isinstance(value, Event):
        return value.model_dump(exclude_none=True)
    return value


class Seen:
    """Calls a service, and notes what it answers."""

    def __init__(self, service: BaseSessionService) -> None:
        self.service = service
        self.notes: list[Any] = []
        self.created = 0

    def note(self, value: Any) -> None:
        self.notes.append(plain(value))

    async def tried(self, call: Awaitable[Any]) -> Any:
        """What a call returns, or None where it raises; either is noted."""
        try:
            found = await call
        except Exception as error:  # noqa: BLE001 - which one is what is compared
            self.note(type(error).__name__)
            return None
        self.note(found)
        return found

    async def create(self, name: str | None = "s", app: str = "app", user: str = "u", **state: Any) -> Any:
        self.created += 1
        return await self.tried(
            self.service.create_session(app_name=app, user_id=user, session_id=name, state=names(**state) or None)
        )

    async def get(self, name: str = "s", app: str = "app", user: str = "u", **config: Any) -> Any:
        wanted = GetSessionConfig(**config) if config else None
        return await self.tried(self.service.get_session(app_name=app, user_id=user, session_id=name, config=wanted))

    async def list(self, app: str = "app", user: str | None = "u") -> None:
        listed = await self.service.list_sessions(app_name=app, user_id=user)
        self.note([plain(each) for each in listed.sessions])

    async def delete(self, name: str = "s", app: str = "app", user: str = "u") -> None:
        await self.tried(self.service.delete_session(app_name=app, user_id=user, session_id=name))

    async def user_state(self, app: str = "app", user: str = "u") -> None:
        await self.tried(self.service.get_user_state(app_name=app, user_id=user))

    async def append(self, session: Session, *events: Event) -> None:
        """Append, and note what was returned, and what became of the session object."""
        for each in events:
            await self.tried(self.service.append_event(session, each))
            self.note(session)


scenario: Final = Scenarios[Seen]()
"""Decorates each; with the name of one of theirs that answers otherwise, and how."""


# Sessions


@scenario()
async def created_with_an_id_it_is_found(seen: Seen) -> None:
    await seen.create()
    await seen.get()
    await seen.get("other")
    await seen.get(app="other")
    await seen.get(user="other")


@scenario()
async def created_without_an_id_it_gets_one(seen: Seen) -> None:
    first, second = await seen.create(None), await seen.create(None)
    seen.note(first.id != second.id)
    await seen.list()


@scenario(database="keeps the id as it is, the empty one too")
async def an_id_of_blanks_is_none(seen: Seen) -> None:
    seen.note((await seen.create("  ")).id.strip() != "")
    seen.note((await seen.create("")).id != "")


@scenario(database="keeps the id as it is")
async def blanks_around_an_id_do_not_count(seen: Seen) -> None:
    await seen.create(" s ")
    await seen.get()
    await seen.get(" s")
    await seen.delete("s  ")
    await seen.get()


@scenario()
async def an_id_is_taken_once(seen: Seen) -> None:
    await seen.create(a=1)
    await seen.create(a=2, user_b=2, app_c=2)
    await seen.get()
    await seen.create(user="v")
    await seen.create(app="other")


@scenario()
async def the_state_that_it_is_created_with_is_divided(seen: Seen) -> None:
    await seen.create(a=1, user_b=2, app_c=3, temp_d=4)
    await seen.get()
    await seen.user_state()
    await seen.create("of_the_user")
    await seen.create("of_another", user="v")
    await seen.create("of_another_app", app="other")


@scenario()
async def an_empty_state_is_none(seen: Seen) -> None:
    await seen.tried(seen.service.create_session(app_name="app", user_id="u", session_id="s", state={}))
    await seen.user_state()


@scenario()
async def values_of_every_sort_come_back(seen: Seen) -> None:
    values = {
        "none": None,
        "yes": True,
        "int": 2**70,
        "float": 0.1 + 0.2,
        "text": "é\u2028😀",
        "list": [1, [2, {}]],
        "map": {"a": {"b": []}},
    }
    await seen.create(**values, user_map={"deep": values}, app_list=[values])
    await seen.get()
    session = await seen.get()
    await seen.append(session, event("e", 5_000.0, **names(map={"a": None}, user_map=None, app_list=[])))
    await seen.get()
    await seen.user_state()


@scenario(memory="keeps the objects themselves")
async def rich_values_come_back_as_their_json(seen: Seen) -> None:
    await seen.create(at=datetime(2026, 1, 2, tzinfo=UTC), user_pair=(1, 2))
    await seen.get()


@scenario()
async def texts_of_every_sort_are_ids(seen: Seen) -> None:
    for name in ("a:b", "a/b", "a%3Ab", "é😀", "x" * 120, "y" * 120):
        await seen.create(name, app=name, user=name, a=name, **{f"user_{name}": 1, f"app_{name}": 2})
        await seen.get(name, app=name, user=name)
        await seen.user_state(name, name)
    await seen.get("a", app="a", user="a")


@scenario()
async def a_deleted_one_is_gone_and_its_id_is_free(seen: Seen) -> None:
    session = await seen.create(a=1, user_b=1, app_c=1)
    await seen.append(session, event("e", 5_000.0))
    await seen.delete()
    await seen.get()
    await seen.list()
    await seen.delete()
    await seen.user_state()
    await seen.create()
    await seen.get()


@scenario()
async def deleting_takes_one_alone(seen: Seen) -> None:
    for user in ("u", "v"):
        await seen.create(user=user)
        await seen.create("t", user=user)
    await seen.delete()
    await seen.list(user=None)


# Lists


@scenario()
async def sessions_are_listed_without_events_the_last_updated_last(seen: Seen) -> None:
    sessions = [await seen.create(name, a=name, user_b=name, app_c=name) for name in ("x", "y", "z")]
    await seen.append(sessions[1], event("first", 5_001.0, d=1))
    await seen.append(sessions[0], event("second", 5_002.0, d=2))
    await seen.list()


@scenario()
async def the_sessions_of_all_users_are_listed(seen: Seen) -> None:
    for user in ("u", "v", "w"):
        await seen.create(user=user, **{f"user_{user}": user})
    await seen.create(app="other")
    await seen.list(user=None)
    await seen.list(user="v")
    await seen.list(user="none")
    await seen.list(app="none", user=None)


@scenario()
async def sessions_of_one_time_are_listed_by_user_and_id(seen: Seen) -> None:
    for user, name in (("v", "a"), ("u", "b"), ("u", "a")):
        await seen.append(await seen.create(name, user=user), event("e", 5_000.0))
    await seen.list(user=None)


# Events


@scenario()
async def events_come_back_in_their_order(seen: Seen) -> None:
    session = await seen.create()
    await seen.append(session, *[event(f"e{number}", 5_000.0 + number) for number in range(5)])
    await seen.get()


@scenario()
async def an_event_comes_back_whole(seen: Seen) -> None:
    session = await seen.create()
    whole = Event(
        id="whole",
        invocation_id="inv",
        author="agent",
        timestamp=5_000.0,
        branch="a.b",
        long_running_tool_ids={"one", "two"},
        turn_complete=True,
        error_code="E",
        error_message="broken",
        custom_metadata={"k": [1, {"v": None}]},
        content=types.Content(
            role="model",
            parts=[
                types.Part(text="thought", thought=True),
                types.Part(function_call=types.FunctionCall(id="c", name="f", args={"x": 1})),
                types.Part(function_response=types.FunctionResponse(id="c", name="f", response={"y": [1]})),
                types.Part(inline_data=types.Blob(data=b"\x00\xff", mime_type="image/png")),
            ],
        ),
        usage_metadata=types.GenerateContentResponseUsageMetadata(prompt_token_count=3),
        actions=EventActions(
            transfer_to_agent="b", escalate=True, artifact_delta={"f": 1}, state_delta={"a": 1}, skip_summarization=True
        ),
    )
    await seen.append(session, whole)
    await seen.get()


@scenario()
async def the_last_events_are_given(seen: Seen) -> None:
    session = await seen.create(a=1)
    await seen.append(session, *[event(f"e{number}", 5_000.0 + number) for number in range(5)])
    for count in (0, 1, 3, 5, 9):
        await seen.get(num_recent_events=count)


@scenario()
async def events_since_a_time_are_given(seen: Seen) -> None:
    session = await seen.create()
    await seen.append(session, *[event(f"e{number}", 5_000.0 + number) for number in range(5)])
    for since in (0.0, 4_999.0, 5_002.0, 5_002.5, 5_004.0, 6_000.0):
        await seen.get(after_timestamp=since)
    await seen.get(after_timestamp=5_001.0, num_recent_events=2)
    await seen.get(after_timestamp=5_004.0, num_recent_events=2)


@scenario(memory="stops at the first one that is older")
async def events_since_a_time_are_given_where_times_went_back(seen: Seen) -> None:
    session = await seen.create()
    times = (5_004.0, 5_001.0, 5_005.0, 5_002.0)
    await seen.append(session, *[event(f"e{number}", at) for number, at in enumerate(times)])
    await seen.get(after_timestamp=5_003.0)
    await seen.get(after_timestamp=5_003.0, num_recent_events=1)


@scenario(database="orders them by their ids")
async def events_of_one_time_keep_their_order(seen: Seen) -> None:
    session = await seen.create()
    await seen.append(session, *[event(name, 5_000.0) for name in ("b", "c", "a")])
    await seen.get()
    await seen.get(num_recent_events=1)


@scenario()
async def many_events_come_back(seen: Seen) -> None:
    session = await seen.create()
    for number in range(230):
        await seen.service.append_event(session, event(f"e{number}", 5_000.0 + number))
    await seen.get()
    await seen.get(num_recent_events=210)


@scenario()
async def a_partial_event_is_not_stored(seen: Seen) -> None:
    session = await seen.create()
    partial = event("e", 5_000.0, a=1)
    partial.partial = True
    await seen.append(session, partial)
    await seen.get()


@scenario()
async def an_event_changes_the_three_states(seen: Seen) -> None:
    session = await seen.create(a=1, user_b=1, app_c=1)
    await seen.append(session, event("e", 5_000.0, **names(a=2, user_b=2, app_c=2, new=2, user_new=2, app_new=2)))
    await seen.get()
    await seen.user_state()
    await seen.create("other")


@scenario()
async def what_is_temporary_is_seen_by_the_session_object_alone(seen: Seen) -> None:
    session = await seen.create(a=1)
    await seen.append(session, event("e", 5_000.0, **names(temp_t=1, a=2)))
    await seen.append(session, event("f", 5_001.0, **names(temp_u=1)))
    await seen.get()


@scenario()
async def a_value_of_none_is_a_value(seen: Seen) -> None:
    session = await seen.create(a=1, user_b=1)
    await seen.append(session, event("e", 5_000.0, **names(a=None, user_b=None)))
    await seen.get()
    await seen.user_state()


@scenario()
async def states_of_two_sessions_meet_in_their_user(seen: Seen) -> None:
    first, second = await seen.create("x"), await seen.create("y")
    await seen.append(first, event("e", 5_000.0, **names(user_a=1, app_b=1)))
    await seen.append(second, event("f", 5_001.0, **names(user_a=2, app_c=2)))
    await seen.get("x")
    await seen.get("y")


@scenario()
async def an_event_for_no_session_is_refused(seen: Seen) -> None:
    session = await seen.create()
    await seen.delete()
    await seen.tried(seen.service.append_event(session, event("e", 5_000.0)))
    await seen.tried(seen.service.append_event(Session(id="none", app_name="app", user_id="u"), event("e", 5_000.0)))
    await seen.get()


@scenario()
async def what_is_returned_is_a_copy(seen: Seen) -> None:
    session = await seen.create(a=[1], user_b={"x": 1})
    session.state["a"].append(2)
    session.state["user:b"]["x"] = 2
    session.events.append(event("e", 5_000.0))
    found = await seen.get()
    found.state["a"].append(3)
    await seen.get()


@scenario()
async def a_session_that_is_read_again_goes_on(seen: Seen) -> None:
    await seen.append(await seen.create(), event("e", 5_000.0))
    await seen.append(await seen.get(), event("f", 5_001.0))
    await seen.append(await seen.get(num_recent_events=0), event("g", 5_002.0))
    await seen.append((await seen.get(num_recent_events=1)).model_copy(deep=True), event("h", 5_003.0))
    await seen.get()


@scenario(memory="has no stale sessions")
async def a_session_that_another_has_changed_is_stale(seen: Seen) -> None:
    await seen.create()
    first, second = await seen.get(), await seen.get()
    await seen.append(first, event("e", 5_000.0, **names(a=1)))
    await seen.tried(seen.service.append_event(second, event("f", 5_001.0, **names(a=2, user_b=2, app_c=2))))
    await seen.get()
    await seen.append(await seen.get(), event("f", 5_001.0))
    await seen.append(first, event("g", 5_002.0))
    await seen.get()


@scenario(memory="has no stale sessions", sqlite="compares times alone")
async def an_event_of_the_past_makes_others_stale_too(seen: Seen) -> None:
    await seen.create()
    first, second = await seen.get(), await seen.get()
    await seen.append(first, event("e", 10.0))
    await seen.tried(seen.service.append_event(second, event("f", 11.0)))
    seen.note([each.id for each in (await seen.get()).events])


@scenario(sqlite="compares times alone", memory="has no stale sessions")
async def a_session_object_made_by_hand_is_judged_by_its_last_event(seen: Seen) -> None:
    await seen.append(await seen.create(), event("e", 5_000.0))
    made = Session(id="s", app_name="app", user_id="u", events=[event("e", 5_000.0)])
    await seen.append(made, event("f", 5_001.0))
    old = Session(id="s", app_name="app", user_id="u", events=[event("e", 5_000.0)])
    await seen.tried(seen.service.append_event(old, event("g", 5_002.0)))
    await seen.tried(seen.service.append_event(Session(id="s", app_name="app", user_id="u"), event("g", 5_002.0)))
    seen.note([each.id for each in (await seen.get()).events])


@scenario(sqlite="IntegrityError", database="IntegrityError")
async def an_event_that_comes_again_is_stored_once(seen: Seen) -> None:
    session = await seen.create()
    first = event("e", 5_000.0, **names(a=1, user_b=1))
    await seen.append(session, first, first.model_copy(deep=True))
    await seen.append(session, event("f", 5_001.0), first.model_copy(deep=True))
    await seen.get()


@scenario(sqlite="IntegrityError", database="IntegrityError")
async def two_events_may_have_one_id(seen: Seen) -> None:
    session = await seen.create()
    await seen.append(session, event("e", 5_000.0, "one"), event("e", 5_001.0, "two"))
    await seen.get()


@scenario()
async def the_state_of_a_user_is_read_without_a_session(seen: Seen) -> None:
    await seen.user_state()
    await seen.create(user_a=1, app_b=1)
    await seen.user_state()
    await seen.user_state(user="v")
    await seen.user_state(app="other")


@scenario()
async def a_flush_is_nothing(seen: Seen) -> None:
    await seen.create()
    await seen.tried(seen.service.flush())
