"""Tools whose calls are tasks, as a real client sees them over HTTP, through deaths of their server."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp.client.client import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ImageContent,
    Request,
    Result,
)
from pydantic import ConfigDict

import tenure
import tenure.asyncio
from tenure.adapters.mcp import TaskTool, TenureTasks, ask_client, tool_behaviour
from tenure.errors import InvalidInput
from tests.adapters.serving import asked, run, serving

APP = Path(__file__).with_name("mcp_app.py")
ENDED = {"completed", "failed", "cancelled"}
Json = dict[str, Any]


class Created(Result):
    model_config = ConfigDict(extra="allow")

    result_type: Literal["task"]


class Answer(Result):
    model_config = ConfigDict(extra="allow")


class TaskRequest(Request[Json, str]):
    name_param = "taskId"


class Tasks(ClientExtension):
    """A client that knows of tasks, and follows them itself."""

    identifier = "io.modelcontextprotocol/tasks"

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Created, resolve=self._resolve)]

    async def _resolve(self, created: Created, context: ClaimContext) -> CallToolResult:
        raise AssertionError((created, context))


@asynccontextmanager
async def connected(url: str, *, tasks: bool = True) -> AsyncIterator[Client]:
    async with Client(f"{url}/mcp", extensions=[Tasks()] if tasks else []) as client:
        assert client.session.protocol_version == "2026-07-28"
        yield client


async def create(client: Client, tool: str, **arguments: Any) -> Json:
    made = await client.session.call_tool(tool, arguments, allow_claimed=True)
    assert isinstance(made, Created), made
    return made.model_dump(by_alias=True)


async def send(client: Client, verb: str, task_id: str, **more: Any) -> Json:
    request = TaskRequest(method=f"tasks/{verb}", params={"taskId": task_id, **more})
    return (await client.session.send_request(request, Answer)).model_dump(by_alias=True)


async def until(client: Client, task_id: str, *statuses: str) -> Json:
    while (task := await send(client, "get", task_id))["status"] not in statuses:  # noqa: ASYNC110 - asked over HTTP
        await asyncio.sleep(0.02)
    return task


async def begun(client: Client, text: str, folder: Path) -> str:
    """A task whose run waits for the gate."""
    task = await create(client, "work", text=text)
    while text not in asked(folder):  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.02)
    return str(task["taskId"])


def told(task: Json) -> list[str]:
    return [each["text"] for each in task["result"]["content"]]


async def refused(code: int, call: Any) -> MCPError:
    with pytest.raises(MCPError) as caught:
        await call
    assert caught.value.code == code
    return caught.value


@pytest.mark.process
@pytest.mark.slow
def test_a_client_hears_of_every_end(tmp_path: Path) -> None:
    async def knowing(url: str) -> None:
        async with connected(url) as client:
            ends: Json = {}
            for text in ("hello", "data", "list", "nothing"):
                ends[text] = await until(client, (await create(client, "work", text=text))["taskId"], *ENDED)
            assert {task["status"] for task in ends.values()} == {"completed"}
            assert [told(ends[text]) for text in ("hello", "list", "nothing")] == [["done: hello"], ["[1, 2]"], []]
            assert ends["data"]["result"]["structuredContent"] == {"answer": [1, None, {"é": 0.5}]}
            assert ends["hello"]["lastUpdatedAt"] >= ends["hello"]["createdAt"]
            said = await until(client, (await create(client, "failing_job"))["taskId"], *ENDED)
            assert (said["status"], said["result"]["isError"], told(said)) == (
                "completed",
                True,
                ["the job has failed"],
            )
            broken = await until(client, (await create(client, "protocol_error_job"))["taskId"], *ENDED)
            assert (broken["status"], broken["error"]["code"]) == ("failed", INTERNAL_ERROR)
            assert "not for clients" not in str(broken)
            assert sorted(asked(tmp_path)) == ["hello"]

    async def not_knowing(url: str) -> None:
        async with connected(url, tasks=False) as client:
            result = await client.call_tool("work", {"text": "plain"})
            assert [each.model_dump()["text"] for each in result.content] == ["done: plain"]
            await refused(INTERNAL_ERROR, client.call_tool("protocol_error_job", {}))
            await refused(MISSING_REQUIRED_CLIENT_CAPABILITY, client.call_tool("ask", {}))
            await refused(MISSING_REQUIRED_CLIENT_CAPABILITY, send(client, "get", "x"))

    (tmp_path / "gate").touch()
    with serving(APP, tmp_path) as (_, url):
        run(lambda: knowing(url))
        run(lambda: not_knowing(url))


@pytest.mark.process
@pytest.mark.slow
def test_what_is_wrong_is_refused_and_starts_nothing(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with connected(url) as client:
            wrong = await client.session.call_tool("work", {"text": 3, "more": 1}, allow_claimed=True)
            assert isinstance(wrong, CallToolResult)
            assert wrong.is_error
            large = await refused(INVALID_PARAMS, create(client, "work", text="large"))
            assert "payload" in str(large)
            task_id = await begun(client, "mine", tmp_path)
            for name in ("", "x", task_id[:-1], task_id + "x", task_id.replace(task_id[-32:], "A" * 32), "é" * 200):
                await refused(INVALID_PARAMS, send(client, "get", name))
                await refused(INVALID_PARAMS, send(client, "cancel", name))
                await refused(INVALID_PARAMS, send(client, "update", name, inputResponses={}))
            await refused(INVALID_PARAMS, send(client, "update", task_id))
            await refused(INVALID_PARAMS, send(client, "update", task_id, inputResponses={"a": 3}))
            for gone in ("list", "result"):
                await refused(METHOD_NOT_FOUND, send(client, gone, task_id))
            assert await status(client, task_id) == "working"
        async with connected(url, tasks=False) as client:
            await refused(MISSING_REQUIRED_CLIENT_CAPABILITY, send(client, "get", task_id))

    async def status(client: Client, task_id: str) -> str:
        return str((await send(client, "get", task_id))["status"])

    with serving(APP, tmp_path) as (_, url):
        run(lambda: main(url))
    assert asked(tmp_path) == ["mine"]


class Sessions:
    """What a client does with one server after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: dict[str, str] = {}
        self.ended: Json = {}

    async def first(self, client: Client) -> None:
        for text in ("seen", "cancelled"):
            self.ids[text] = await begun(client, text, self.folder)
        self.ids["asks"] = str((await create(client, "ask"))["taskId"])
        requests = (await until(client, self.ids["asks"], "input_required"))["inputRequests"]
        assert [each["params"]["message"] for each in requests.values()] == ["a?", "b?"]
        a, self.ids["b"] = requests
        await self.answer(client, a, "a", "1")
        assert list((await send(client, "get", self.ids["asks"]))["inputRequests"]) == [self.ids["b"]]

    async def second(self, client: Client) -> None:
        for text in ("seen", "cancelled"):
            assert (await send(client, "get", self.ids[text]))["status"] == "working"
        await send(client, "cancel", self.ids["cancelled"])
        assert "result" not in await until(client, self.ids["cancelled"], "cancelled")
        task = await send(client, "get", self.ids["asks"])
        assert (task["status"], list(task["inputRequests"])) == ("input_required", [self.ids["b"]])
        await self.answer(client, self.ids["b"], "b", "2")
        await self.answer(client, self.ids["b"], "b", "another")  # the first counts
        while "asked once" not in asked(self.folder):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)
        (again,) = (await until(client, self.ids["asks"], "input_required"))["inputRequests"]
        assert again != self.ids["b"]
        await self.answer(client, again, "a", "3")
        (self.folder / "gate").touch()
        for name, words in (("asks", "1 2 3"), ("seen", "done: seen")):
            self.ended[name] = await until(client, self.ids[name], *ENDED)
            assert told(self.ended[name]) == [words]
            await send(client, "cancel", self.ids[name])  # too late, and no error

    async def third(self, client: Client) -> None:
        for name, task in self.ended.items():
            assert await send(client, "get", self.ids[name]) == task
        assert (await send(client, "get", self.ids["cancelled"]))["status"] == "cancelled"

    async def answer(self, client: Client, key: str, field: str, value: str) -> None:
        response = {"action": "accept", "content": {field: value}}
        await send(client, "update", self.ids["asks"], inputResponses={key: response, "unknown": response})


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=lambda end: end.name)
def test_tasks_go_on_when_their_server_has_ended(tmp_path: Path, end: signal.Signals) -> None:
    sessions = Sessions(tmp_path)

    async def meet(main: Callable[[Client], Awaitable[None]], url: str) -> None:
        async with connected(url) as client:
            await main(client)

    for main in (sessions.first, sessions.second, sessions.third):
        with serving(APP, tmp_path) as (process, url):
            run(partial(meet, main, url))
            process.send_signal(end)
            process.wait()
    assert sorted(asked(tmp_path)) == ["asked once", "cancelled", "seen"]


def test_a_task_is_its_owners_alone_and_goes_with_its_runtime(tmp_path: Path) -> None:
    @tool_behaviour
    async def work(_: tenure.asyncio.Run, what: str) -> Any:
        return CallToolResult(content=[ImageContent(type="image", data="aGk=", mime_type=what)])

    @tenure.asyncio.behaviour
    async def plain(_: tenure.asyncio.Run) -> str:
        return "not a result of a tool"

    def paint(what: str) -> str:
        """Paint."""
        return what

    async def main() -> None:
        behaviours = {"work": work, "plain": plain}
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours=behaviours) as supervisor:
            owner = ["ada"]
            tools = [TaskTool(paint, kind="work"), TaskTool(paint, kind="plain", name="other")]
            tasks = TenureTasks(supervisor, tools, owner_resolver=lambda _: owner[0])
            async with Client(MCPServer("desk", extensions=[tasks]), extensions=[Tasks()]) as client:
                task_id = str((await create(client, "paint", what="image/png"))["taskId"])
                task = await until(client, task_id, *ENDED)
                assert task["result"]["content"] == [{"type": "image", "data": "aGk=", "mimeType": "image/png"}]
                other = await until(client, str((await create(client, "other", what="x"))["taskId"]), *ENDED)
                assert (other["status"], "tool_behaviour" in other["error"]["message"]) == ("failed", True)

                for owner[0] in ("bob", "", "ada:", "x" * 200):
                    for verb, more in (("get", {}), ("cancel", {}), ("update", {"inputResponses": {}})):
                        await refused(INVALID_PARAMS, send(client, verb, task_id, **more))
                owner[0] = "ada"
                assert await send(client, "get", task_id) == task

                answer = await supervisor.accept(f"mcp:ada:{task_id}", {"key": "k", "response": {}}, lane="steer")
                await answer.wait_outcome()  # one that came late: nothing is done again
                assert await send(client, "get", task_id) == task
                await (await supervisor.find(f"mcp:ada:{task_id}")).destroy(erase=True)
                await refused(INVALID_PARAMS, send(client, "get", task_id))

    run(main)


def test_a_tool_that_gives_up_asking_works_on(tmp_path: Path) -> None:
    given_up, gate = asyncio.Event(), asyncio.Event()

    @tool_behaviour
    async def impatient(run: tenure.asyncio.Run, _: Any) -> str:
        asked = ElicitRequest(params=ElicitRequestFormParams(message="well?", requested_schema={"type": "object"}))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await ask_client(run, {"a": asked})
        await run.checkpoint()
        given_up.set()
        await gate.wait()
        return "without you"

    def decide() -> None:
        """Decide."""

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"a": impatient}) as supervisor:
            tasks = TenureTasks(supervisor, [TaskTool(decide, kind="a", required=True)])
            async with Client(MCPServer("desk", extensions=[tasks]), extensions=[Tasks()]) as client:
                task_id = str((await create(client, "decide"))["taskId"])
                await given_up.wait()
                assert (await send(client, "get", task_id))["status"] == "working"
                gate.set()
                assert told(await until(client, task_id, *ENDED)) == ["without you"]

    run(main)


def test_of_two_questions_at_once_the_later_is_refused_and_the_first_is_answered(tmp_path: Path) -> None:
    @tool_behaviour
    async def hasty(run: tenure.asyncio.Run, _: Any) -> str:
        asked = ElicitRequest(params=ElicitRequestFormParams(message="well?", requested_schema={"type": "object"}))
        first, second = [asyncio.create_task(ask_client(run, {name: asked})) for name in "ab"]
        with pytest.raises(InvalidInput):
            await second
        return str(await first)

    def decide() -> None:
        """Decide."""

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"a": hasty}) as supervisor:
            tasks = TenureTasks(supervisor, [TaskTool(decide, kind="a", required=True)])
            async with Client(MCPServer("desk", extensions=[tasks]), extensions=[Tasks()]) as client:
                task_id = str((await create(client, "decide"))["taskId"])
                while (task := await send(client, "get", task_id))["status"] not in ENDED:
                    for key in task.get(
                        "inputRequests", ()
                    ):  # that of the refused one too, where it is seen before it goes
                        await send(client, "update", task_id, inputResponses={key: {"action": "accept"}})
                    await asyncio.sleep(0.02)
                assert told(task) == ["{'a': {'action': 'accept'}}"]

    run(main)


def test_a_task_whose_result_is_not_kept_any_more_is_unknown_and_one_without_json_has_failed(tmp_path: Path) -> None:
    @tool_behaviour
    async def work(_: tenure.asyncio.Run, what: float) -> Any:
        return what if what > 0 else {"what": float("nan")}

    def compute(what: float) -> float:
        """Compute."""
        return what

    async def main() -> None:
        behaviours = {"work": tenure.Behaviour(work, restart=tenure.RestartPolicy(max_attempts=1))}
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours=behaviours) as supervisor:
            tasks = TenureTasks(supervisor, [TaskTool(compute, kind="work")])
            async with Client(MCPServer("desk", extensions=[tasks]), extensions=[Tasks()]) as client:
                task_id = str((await create(client, "compute", what=1.5))["taskId"])
                assert told(await until(client, task_id, *ENDED)) == ["1.5"]
                no_json = str((await create(client, "compute", what=-1))["taskId"])
                assert (await until(client, no_json, *ENDED))["status"] == "failed"
                await supervisor.store.prune(0)
                await refused(INVALID_PARAMS, send(client, "get", task_id))

    run(main)
