"""`TenureSessionService`: what it promises beyond what the services of the framework do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from google.adk.agents import Agent
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions.session import Session
from google.genai import types

import tenure.asyncio
import tenure.sync
from tenure.adapters.adk import TenureSessionService
from tenure.errors import Corrupt, InvalidInput, PayloadTooLarge

from .scenarios import event

WHERE: dict[str, Any] = {"app_name": "app", "user_id": "u", "session_id": "s"}


def run(main: Callable[[tenure.asyncio.Store], Coroutine[Any, Any, None]], path: Path) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120), tenure.asyncio.open_store(path / "agents.db") as store:
            await main(store)

    asyncio.run(bounded())


async def ids(service: TenureSessionService) -> list[str]:
    found = await service.get_session(**WHERE)
    return [] if found is None else [each.id for each in found.events]


class Echo(BaseLlm):
    """Answers with the number of contents that it was asked with."""

    async def generate_content_async(
        self,
        llm_request: LlmRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - the framework's own
    ) -> AsyncGenerator[LlmResponse, None]:
        part = types.Part(text=f"of {len(llm_request.contents)}")
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def said(text: str) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=text)])


def runner(store: Any) -> Runner:
    agent = Agent(name="echo", model=Echo(model="echo"), output_key="last")
    service = TenureSessionService(store)
    return Runner(app_name="app", agent=agent, session_service=service, auto_create_session=True)


def test_a_runner_finds_its_session_again_from_asyncio_and_from_a_script(tmp_path: Path) -> None:
    async def first(store: tenure.asyncio.Store) -> None:
        async for _ in runner(store).run_async(user_id="u", session_id="s", new_message=said("hello")):
            pass

    run(first, tmp_path)
    with tenure.sync.open_store(tmp_path / "agents.db") as store:
        last = list(runner(store).run(user_id="u", session_id="s", new_message=said("again")))[-1]
        found = asyncio.run(TenureSessionService(store).get_session(**WHERE))

    assert last.content is not None
    assert last.content.parts == [types.Part(text="of 3")]
    assert found is not None
    assert found.state == {"last": "of 3"}
    assert [each.author for each in found.events] == ["user", "echo", "user", "echo"]


def test_branches_that_share_a_session_object_all_append(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        service = TenureSessionService(store)
        session = await service.create_session(**WHERE)
        await asyncio.gather(
            *[service.append_event(session, event(f"e{number}", 5_000.0, **{f"k{number}": 1})) for number in range(20)]
        )
        assert sorted(await ids(service)) == sorted(f"e{number}" for number in range(20))
        assert [each.id for each in session.events] == await ids(service)
        found = await service.get_session(**WHERE)
        assert found is not None
        assert found.state == session.state

    run(main, tmp_path)


def test_of_two_writers_who_read_the_same_revision_one_is_stale(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        services = [TenureSessionService(store) for _ in range(6)]
        await services[0].create_session(**WHERE)
        sessions = [await service.get_session(**WHERE) for service in services]
        results = await asyncio.gather(
            *[
                service.append_event(session, event(f"f{place}", 1.0))
                for place, (service, session) in enumerate(zip(services, sessions, strict=True))
                if session is not None
            ],
            return_exceptions=True,
        )
        assert [type(each) for each in results].count(StaleSessionError) == 5
        assert len(await ids(services[0])) == 1

    run(main, tmp_path)


def test_an_event_whose_answer_was_lost_is_taken_over_when_it_comes_again(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        service = TenureSessionService(store)
        session = await service.create_session(**WHERE)
        await service.append_event(
            session.model_copy(deep=True), event("e", 5_000.0, a=1)
        )  # the caller died with its copy

        await service.append_event(session, event("e", 5_000.0, a=1))
        await service.append_event(session, event("f", 5_001.0))

        assert session.state == {"a": 1}
        assert [each.id for each in session.events] == await ids(service) == ["e", "f"]

    run(main, tmp_path)


class _CutError(Exception):
    pass


class Cut:
    """The values of a store that can be used so often, and then no more."""

    def __init__(self, values: Any, verbs: int) -> None:
        self._values, self._left = values, verbs

    def __getattr__(self, name: str) -> Any:
        async def verb(*arguments: Any, **terms: Any) -> Any:
            if name in {"write", "delete_execution_state"}:
                self._left -= 1
                if self._left < 0:
                    raise _CutError
            return await getattr(self._values, name)(*arguments, **terms)

        return verb


@pytest.mark.parametrize("commits", [0, 1, 2])
@pytest.mark.parametrize("then", ["create", "delete"])
def test_a_deletion_that_is_cut_off_is_none_or_ended_by_who_comes_next(tmp_path: Path, commits: int, then: str) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        service = TenureSessionService(store)
        session = await service.create_session(**WHERE, state={"a": 1})
        await service.append_event(session, event("e", 5_000.0))
        cut = TenureSessionService(store)
        vars(cut._sessions)["_values"] = Cut(store.state, commits)
        with pytest.raises(_CutError):
            await cut.delete_session(**WHERE)

        if commits == 0:
            assert await ids(service) == ["e"]
            with pytest.raises(AlreadyExistsError):
                await service.create_session(**WHERE)
            return
        assert await service.get_session(**WHERE) is None
        assert (await service.list_sessions(app_name="app")).sessions == []
        if then == "create":
            new = await service.create_session(**WHERE)
            assert (new.state, new.events) == ({}, [])
            with pytest.raises(StaleSessionError):
                await service.append_event(session, event("f", 5_001.0))
            await service.append_event(new, event("g", 5_001.0))
            assert await ids(service) == ["g"]
            await service.delete_session(**WHERE)
        await service.delete_session(**WHERE)
        assert await store.state.items("adk") == []

    run(main, tmp_path)


def test_damage_is_said_and_nothing_is_made_of_it(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        service = TenureSessionService(store)
        session = await service.create_session(**WHERE, state={"user:a": 1})
        await service.append_event(session, event("e", 5_000.0))
        rows = dict(await store.state.items("adk"))
        for key, damaged in (
            *[(key, b"\xc1") for key in rows if ":i:" not in key],
            *[(key, None) for key in rows if ":n:" in key],
            *[(key, rows[key][:1] + b"\x07" + rows[key][2:]) for key in rows if key.startswith("adk.sessions")],
        ):
            await store.state.write({key: damaged})
            with pytest.raises(Corrupt):
                await service.get_session(**WHERE)
            await store.state.write({key: rows[key]})
        assert await ids(service) == ["e"]

    run(main, tmp_path)


def test_what_makes_no_sense_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    no_store: Any = object()
    with pytest.raises(InvalidInput):
        TenureSessionService(no_store)

    async def main(store: tenure.asyncio.Store) -> None:
        service = TenureSessionService(store)
        for field, wrong in (("session_id", 3), ("session_id", "\ud800"), ("user_id", None), ("app_name", 3)):
            with pytest.raises(InvalidInput) as caught:
                await service.create_session(**{**WHERE, field: wrong})
            assert caught.value.field == field
        for large in ({"a": "x" * 2**24}, {"user:a": "x" * 2**24}):
            with pytest.raises(PayloadTooLarge):
                await service.create_session(**WHERE, state=large)
        with pytest.raises(InvalidInput):
            await service.create_session(**WHERE, state={f"app:{number}": 1 for number in range(10_000)})
        assert await store.state.items("adk") == []

        session = await service.create_session(**WHERE, state={"a": 1})
        before = session.model_copy(deep=True)
        for text in ("x" * 2**24, "\ud800"):
            with pytest.raises((InvalidInput, PayloadTooLarge)):
                await service.append_event(session, event("e", 5_000.0, text, b=1))
        assert session == before
        assert await service.get_session(**WHERE) == before

    run(main, tmp_path)


def test_a_session_of_another_service_is_judged_by_what_it_says(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        service = TenureSessionService(store)
        created = await service.create_session(**WHERE)
        made = Session(id="s", app_name="app", user_id="u", last_update_time=created.last_update_time)
        await service.append_event(made, event("e", 5_000.0))
        await service.append_event(made, event("f", 5_001.0))
        assert await ids(service) == ["e", "f"]

    run(main, tmp_path)
