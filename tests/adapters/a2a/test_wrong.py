"""What is wrong is refused by each verb of the stores of A2A, and hides no task."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from a2a.server.context import ServerCallContext
from a2a.types.a2a_pb2 import ListTasksRequest
from a2a.utils.errors import InvalidParamsError

import tenure.asyncio
from tenure.adapters.a2a import TenureAgent, TenurePushConfigStore, TenureTaskStore
from tenure.errors import InvalidInput
from tests.adapters.sweep import WRONG, Verb, sweep, verbs_of

from .scenarios import config, of, task


@pytest.mark.slow
def test_a_wrong_argument_is_a_typed_error_and_hides_no_task(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            tasks, pushes = TenureTaskStore(store), TenurePushConfigStore(store)
            await tasks.save(task("t"), of("ada"))
            await pushes.set_info("t", config("a"), of("ada"))

            async def intact() -> Any:
                every = [owned for owned in await tasks.every() if owned[0] == "ada"]
                listed = await tasks.list(ListTasksRequest(), of("ada"))
                return every, listed, await pushes.get_info("t", of("ada"))

            async def page(**fields: Any) -> None:
                await tasks.list(ListTasksRequest(page_token=fields["token"]), of("ada"))

            bob = of("bob")
            of_tasks: dict[str, Verb] = {
                "save": (tasks.save, {"task": task("u"), "context": bob}),
                "get": (tasks.get, {"task_id": "t", "context": bob}),
                "list": (tasks.list, {"params": ListTasksRequest(), "context": bob}),
                "delete": (tasks.delete, {"task_id": "t", "context": bob}),
                "every": (tasks.every, {}),
            }
            named = {"task_id": "t", "context": bob}
            of_pushes: dict[str, Verb] = {
                "set_info": (pushes.set_info, {**named, "notification_config": config("b")}),
                "get_info": (pushes.get_info, named),
                "get_info_for_dispatch": (pushes.get_info_for_dispatch, {"task_id": "u"}),
                "delete_info": (pushes.delete_info, {**named, "config_id": "b"}),
            }
            assert set(of_tasks) == verbs_of(TenureTaskStore)
            assert set(of_pushes) == verbs_of(TenurePushConfigStore)
            assert await sweep(of_tasks | of_pushes, intact) > 250
            for token in ("", "x", "\0", "é" * 300, "x" * 3000):
                try:
                    await page(token=token)
                except InvalidParamsError:
                    assert token

    asyncio.run(main())


def test_an_owner_that_is_no_text_owns_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            for wrong in WRONG:
                if isinstance(wrong, str) and wrong != "\ud800":
                    continue

                def whose(_: ServerCallContext, wrong: Any = wrong) -> Any:
                    return wrong

                tasks = TenureTaskStore(store, owner_resolver=whose)
                pushes = TenurePushConfigStore(store, owner_resolver=whose)
                for call in (tasks.save(task("t"), of("")), pushes.set_info("t", config("a"), of(""))):
                    with pytest.raises(InvalidInput):
                        await call
            assert await TenureTaskStore(store).every() == []
            assert await store.state.items("a2a.") == []

    asyncio.run(main())


def test_an_agent_is_given_what_it_is_made_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            agent = TenureAgent(supervisor, kind="clerk")
            wrong: Any
            for wrong in (b"x", None, 3, "\ud800"):
                with pytest.raises(InvalidInput):
                    agent.runtime_id(wrong, of(""))
            for wrong in (b"x", None):
                with pytest.raises(InvalidInput):
                    agent.runtime_id("c", wrong)
                for verb in (agent.execute, agent.cancel):
                    with pytest.raises(InvalidInput):
                        await verb(wrong, wrong)
                with pytest.raises(InvalidInput):
                    TenureAgent(wrong, kind="clerk")
                with pytest.raises(InvalidInput):
                    TenureAgent(supervisor, kind=wrong)

    asyncio.run(main())
