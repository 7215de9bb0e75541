"""An agent whose tasks are inputs of runtimes, as a real client sees it over HTTP, through deaths of its server."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.client import ClientConfig, ClientFactory
from a2a.client.client import Client
from a2a.helpers.proto_helpers import get_artifact_text, get_message_text, new_text_message
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import A2AError, InvalidParamsError, UnsupportedOperationError
from google.protobuf.json_format import MessageToDict

import tenure
import tenure.asyncio
from tenure.adapters.a2a import TenureTaskStore, open_handler
from tenure.errors import DiskFull
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tests.adapters.serving import asked, run, serving
from tests.kit.faulty_vfs import FULL, FaultyVfs

APP = Path(__file__).with_name("agent_app.py")
WORKING = TaskState.TASK_STATE_WORKING
COMPLETED = TaskState.TASK_STATE_COMPLETED
ENDED = {COMPLETED, TaskState.TASK_STATE_CANCELED, TaskState.TASK_STATE_FAILED, TaskState.TASK_STATE_REJECTED}


@asynccontextmanager
async def connected(url: str, *, streaming: bool = True) -> AsyncIterator[Client]:
    interface = AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")
    capabilities = AgentCapabilities(streaming=streaming, push_notifications=True)
    card = AgentCard(
        name="clerk", description="answers", version="1", supported_interfaces=[interface], capabilities=capabilities
    )
    async with httpx.AsyncClient(timeout=120) as http:
        yield ClientFactory(ClientConfig(httpx_client=http, streaming=streaming)).create(card)


def asking(text: str, name: str = "", *, context: str = "c", later: bool = False) -> SendMessageRequest:
    message = new_text_message(text, context_id=context, role=Role.ROLE_USER)
    message.message_id = name or f"message {text}"
    return SendMessageRequest(message=message, configuration=SendMessageConfiguration(return_immediately=later))


async def ask(client: Client, request: SendMessageRequest) -> Task:
    """The task as the last answer shows it."""
    answers = [answer async for answer in client.send_message(request)]
    return answers[-1].task


async def begun(client: Client, text: str, folder: Path, **terms: Any) -> Task:
    """A task whose run waits for the gate."""
    task = await ask(client, asking(text, later=True, **terms))
    while text not in asked(folder):  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.02)
    return task


async def ended(client: Client, task_id: str) -> Task:
    while (task := await client.get_task(GetTaskRequest(id=task_id))).status.state not in ENDED:  # noqa: ASYNC110 - asked over HTTP
        await asyncio.sleep(0.02)
    return task


def told(task: Task) -> list[str]:
    return [get_artifact_text(each) for each in task.artifacts]


class Hooks:
    """Takes push notifications, while something else goes on."""

    def __init__(self) -> None:
        self._got: list[bytes] = []
        self._came = asyncio.Event()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    async def listening(self, main: Callable[[], Awaitable[None]]) -> None:
        self._came = asyncio.Event()
        async with await asyncio.start_server(self._take, "127.0.0.1", self._port) as server:
            self._port = server.sockets[0].getsockname()[1]
            await main()

    async def heard(self, word: bytes) -> None:
        while not any(word in body for body in self._got):
            self._came.clear()
            await self._came.wait()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length is not None
        self._got.append(await reader.readexactly(int(length[1])))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        self._came.set()


@pytest.mark.process
@pytest.mark.slow
def test_a_client_hears_of_every_end(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with connected(url, streaming=False) as client:
            (tmp_path / "gate").touch()
            task = await ask(client, asking("hello"))
            assert (task.status.state, told(task)) == (COMPLETED, ["done: hello"])
            again = await ask(client, asking("hello"))  # the same message: nothing is done again
            assert (again.id != task.id, told(again), asked(tmp_path)) == (True, ["done: hello"], ["hello"])

            task = await ask(client, asking("data"))
            assert MessageToDict(task.artifacts[0].parts[0])["data"] == {"answer": [1, None, {"é": 0.5}]}
            task = await ask(client, asking("nothing"))
            assert (task.status.state, told(task)) == (COMPLETED, [])
            task = await ask(client, asking("no"))
            assert task.status.state == TaskState.TASK_STATE_REJECTED
            assert get_message_text(task.status.message) == "we are closed"
            with pytest.raises(A2AError, match="key"):
                await ask(client, asking("hello", "message data"))

            for depth in (49, 90):  # the first is written by protobuf, and not read
                task = await ask(client, asking(f"deep {depth}"))
                assert task.status.state == TaskState.TASK_STATE_FAILED
                assert "nested too deeply" in get_message_text(task.status.message)

            listed = await client.list_tasks(ListTasksRequest(context_id="c", status=COMPLETED))
            assert listed.total_size == 4
        async with connected(url) as client:
            kinds = [answer.WhichOneof("payload") async for answer in client.send_message(asking("stream"))]
            assert kinds == ["task", "status_update", "artifact_update", "status_update"]

    with serving(APP, tmp_path) as (_, url):
        run(lambda: main(url))


def test_a_task_whose_run_ends_just_as_it_is_cancelled_leaves_the_next_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_ends, second_runs, second_ends = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @tenure.asyncio.behaviour
    async def clerk(run: tenure.asyncio.Run) -> str:
        (entry,) = run.inputs
        text = entry.payload["parts"][0]["text"]
        if text == "second":
            second_runs.set()
        await (first_ends if text == "first" else second_ends).wait()
        return f"done: {text}"

    cancel = tenure.asyncio.Runtime.cancel

    async def after_the_first_has_ended(self: Any, input_id: str | None = None, **terms: Any) -> bool:
        if input_id is None or terms:  # what may end a run
            first_ends.set()
            await second_runs.wait()
        return await cancel(self, input_id, **terms)

    monkeypatch.setattr(tenure.asyncio.Runtime, "cancel", after_the_first_has_ended)

    async def main() -> None:
        call = ServerCallContext()
        async with handling(tmp_path, clerk) as handler:
            first, second = [
                await handler.on_message_send(asking(text, later=True), call) for text in ("first", "second")
            ]
            assert isinstance(first, Task)
            assert isinstance(second, Task)
            answered = await handler.on_cancel_task(CancelTaskRequest(id=first.id), call)
            assert answered.status.state == COMPLETED
            second_ends.set()
            found = await seen_to_end(handler, second.id)
            assert (found.status.state, told(found)) == (COMPLETED, ["done: second"])

    run(main)


@asynccontextmanager
async def handling(path: Path, clerk: Any, **terms: Any) -> AsyncIterator[DefaultRequestHandler]:
    """A handler of this process."""
    async with (
        tenure.asyncio.open_supervisor(path / "agents.db", behaviours={"clerk": clerk}, **terms) as supervisor,
        open_handler(supervisor, AgentCard(name="clerk", version="1"), kind="clerk") as handler,
    ):
        yield handler


async def seen_to_end(handler: DefaultRequestHandler, task_id: str) -> Task:
    call = ServerCallContext()
    while (found := await handler.on_get_task(GetTaskRequest(id=task_id), call)).status.state not in ENDED:  # noqa: ASYNC110 - another task reports it
        await asyncio.sleep(0.01)
    return found


def test_a_further_message_to_a_task_is_refused_and_its_context_takes_it(tmp_path: Path) -> None:
    """The framework keeps it in memory until the task has ended, after it has answered it."""
    gate, worked = asyncio.Event(), list[str]()

    @tenure.asyncio.behaviour
    async def clerk(run: tenure.asyncio.Run) -> str:
        (entry,) = run.inputs
        worked.append(entry.payload["parts"][0]["text"])
        await gate.wait()
        return f"done: {worked[-1]}"

    async def main() -> None:
        call = ServerCallContext()
        async with handling(tmp_path, clerk) as handler:
            first = await handler.on_message_send(asking("first", later=True), call)
            assert isinstance(first, Task)
            further = asking("second", later=True)
            further.message.task_id = first.id
            with pytest.raises(UnsupportedOperationError, match="context"):
                await handler.on_message_send(further, call)
            further.message.task_id = ""
            second = await handler.on_message_send(further, call)
            assert isinstance(second, Task)
            gate.set()
            ends = [await seen_to_end(handler, task.id) for task in (first, second)]
            assert [told(end) for end in ends] == [["done: first"], ["done: second"]]
            further.message.task_id = first.id
            with pytest.raises(UnsupportedOperationError):
                await handler.on_message_send(further, call)
        assert worked == ["first", "second"]

    run(main)


def test_a_task_that_its_result_makes_too_large_has_failed(tmp_path: Path) -> None:
    worked: list[int] = []

    @tenure.asyncio.behaviour
    async def clerk(run: tenure.asyncio.Run) -> str:
        worked.append(len(run.inputs[0].payload["parts"][0]["text"]))
        return "y" * 40_000

    async def main() -> None:
        call = ServerCallContext()
        async with handling(tmp_path, clerk, limits=tenure.Limits(payload_bytes=64_000)) as handler:
            for length, state in ((10_000, COMPLETED), (30_000, TaskState.TASK_STATE_FAILED)):
                task = await handler.on_message_send(asking("x" * length, str(length)), call)
                assert isinstance(task, Task)
                assert (await handler.on_get_task(GetTaskRequest(id=task.id), call)).status.state == state
            assert "too large" in get_message_text(task.status.message)
            with pytest.raises(InvalidParamsError, match="too large"):
                await handler.on_message_send(asking("x" * 63_500, "message"), call)
        assert worked == [10_000, 30_000]

    run(main)


def test_a_task_whose_result_went_before_it_was_taken_up_has_failed(tmp_path: Path) -> None:
    @tenure.asyncio.behaviour
    async def clerk(_: tenure.asyncio.Run) -> str:
        return "done"

    async def main() -> None:
        call = ServerCallContext()
        async with handling(tmp_path, clerk) as handler:
            task = await handler.on_message_send(asking("hello"), call)
            assert isinstance(task, Task)
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            task.status.state = WORKING  # as where its server was killed before it had stored the end
            task.ClearField("artifacts")
            await TenureTaskStore(store).save(task, call)
            assert (await store.prune(0)).runs == 1
        async with handling(tmp_path, clerk) as handler:
            end = await seen_to_end(handler, task.id)
            assert (end.status.state, told(end)) == (TaskState.TASK_STATE_FAILED, [])
            assert "not kept" in get_message_text(end.status.message)

    run(main)


@pytest.mark.process
@pytest.mark.slow
def test_tasks_go_on_when_their_server_was_killed(tmp_path: Path) -> None:
    tasks: dict[str, Task] = {}
    hooks = Hooks()

    async def first(url: str) -> None:
        async with connected(url, streaming=False) as client:
            tasks["seen"] = await begun(client, "seen", tmp_path)
            tasks["cancelled"] = await begun(client, "cancelled", tmp_path, context="d")
            tasks["waits"] = await ask(client, asking("waits", context="d", later=True))
            hook = TaskPushNotificationConfig(task_id=tasks["seen"].id, id="hook", url=hooks.url)
            await client.create_task_push_notification_config(hook)
            assert {task.status.state for task in tasks.values()} <= {TaskState.TASK_STATE_SUBMITTED, WORKING}

    async def second(url: str) -> None:
        async with connected(url) as client:
            for task in tasks.values():
                assert (await client.get_task(GetTaskRequest(id=task.id))).status.state == WORKING
            cancelled = await client.cancel_task(CancelTaskRequest(id=tasks["cancelled"].id))
            assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
            events = client.subscribe(SubscribeToTaskRequest(id=tasks["seen"].id))
            assert (await anext(events)).task.id == tasks["seen"].id
            (tmp_path / "gate").touch()
            rest = [event async for event in events]
            assert rest[-1].status_update.status.state == COMPLETED
            for name, told_of in (("seen", ["done: seen"]), ("waits", ["done: waits"]), ("cancelled", [])):
                task = await ended(client, tasks[name].id)
                assert told(task) == told_of
                assert [get_message_text(message) for message in task.history] == [name]
            await hooks.heard(b"TASK_STATE_COMPLETED")
        assert sorted(asked(tmp_path)) == ["cancelled", "seen", "waits"]

    async def third(url: str) -> None:
        async with connected(url) as client:
            for name, state in (("seen", COMPLETED), ("cancelled", TaskState.TASK_STATE_CANCELED)):
                assert (await client.get_task(GetTaskRequest(id=tasks[name].id))).status.state == state

    with serving(APP, tmp_path) as (process, url):
        run(lambda: hooks.listening(lambda: first(url)))
        process.kill()
        process.wait()
    with serving(APP, tmp_path) as (process, url):
        run(lambda: hooks.listening(lambda: second(url)))
        process.send_signal(signal.SIGTERM)
        process.wait()
    with serving(APP, tmp_path) as (_, url):
        run(lambda: third(url))


@pytest.mark.process
@pytest.mark.slow
def test_a_task_is_on_the_way_still_after_an_orderly_end(tmp_path: Path) -> None:
    tasks: list[Task] = []

    async def first(url: str) -> None:
        async with connected(url, streaming=False) as client:
            tasks.append(await begun(client, "hello", tmp_path))

    async def second(url: str) -> None:
        async with connected(url) as client:
            assert (await client.get_task(GetTaskRequest(id=tasks[0].id))).status.state == WORKING
            (tmp_path / "gate").touch()
            assert told(await ended(client, tasks[0].id)) == ["done: hello"]

    with serving(APP, tmp_path) as (process, url):
        run(lambda: first(url))
        process.send_signal(signal.SIGTERM)
        process.wait()
    with serving(APP, tmp_path) as (_, url):
        run(lambda: second(url))
    assert asked(tmp_path) == ["hello"]


def test_a_task_waits_for_room_on_the_disk(tmp_path: Path) -> None:
    vfs = FaultyVfs()
    seams = tenure.Seams(engine=SqliteOptions(vfs=vfs.vfs_name))

    async def main() -> None:
        async with asyncio.timeout(60), tenure.asyncio.open_store(tmp_path / "agents.db", seams=seams) as store:
            tasks = TenureTaskStore(store)
            vfs.fail("xWrite", "-wal", FULL)
            with pytest.raises(DiskFull):
                await store.state.write({"k": b"1"})
            saved, given_up = [asyncio.create_task(tasks.save(Task(id=name), ServerCallContext())) for name in "tu"]
            await asyncio.sleep(0.1)
            given_up.cancel()
            await asyncio.wait([given_up])
            assert (saved.done(), given_up.cancelled()) == (False, True)
            vfs.heal()
            await saved
            assert [await tasks.get(name, ServerCallContext()) for name in "tu"] == [Task(id="t"), None]

    asyncio.run(main())
