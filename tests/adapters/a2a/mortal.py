"""An agent and a client of it that sends again what it has heard no answer to, killed at every point.

    python mortal.py FOLDER

The points are before and after each input, stored task, cancellation and step.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.client import Client
from a2a.server.routes import create_jsonrpc_routes
from a2a.types.a2a_pb2 import (
    AgentCard,
    AgentInterface,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import TaskNotCancelableError
from starlette.applications import Starlette

import tenure.asyncio
from tenure.adapters.a2a import TenureTaskStore, open_handler
from tests.adapters.a2a.test_agent import COMPLETED, ENDED, ask, asking, told
from tests.adapters.mortal import Notes, Points, die_at_every_point

CARD = AgentCard(
    name="clerk",
    version="1",
    supported_interfaces=[AgentInterface(url="http://here/", protocol_binding="JSONRPC", protocol_version="1.0")],
)
ENDS = {"first": (COMPLETED, ["done: first"]), "waits": (TaskState.TASK_STATE_CANCELED, list[str]())}


async def live(folder: Path, points: Points) -> str:
    world, heard = Notes(folder / "world"), Notes(folder / "heard")
    points.around(tenure.asyncio.Supervisor, "accept")
    points.around(tenure.asyncio.Runtime, "cancel")
    points.around(TenureTaskStore, "save")

    @tenure.asyncio.behaviour
    async def clerk(run: tenure.asyncio.Run) -> str:
        what = run.inputs[0].payload["parts"][0]["text"]
        await run.step("note", world.note, what, repeat="freely")
        points.point()
        if what == "waits":
            await asyncio.Event().wait()
        return f"done: {what}"

    async def end(client: Client, what: str) -> Task:
        """The end of a task, whose message is sent again where its answer was not heard."""
        known = [line.partition(" ")[2] for line in heard.read() if line.startswith(what)]
        task_id = known[0] if known else (await ask(client, asking(what, later=True, context=what))).id
        if not known:
            heard.note(f"{what} {task_id}")
            points.point()
        while (task := await client.get_task(GetTaskRequest(id=task_id))).status.state not in ENDED:
            if what == "waits" and what in world.read():
                try:
                    await client.cancel_task(CancelTaskRequest(id=task_id))
                except TaskNotCancelableError:
                    continue  # it ended just then
            await asyncio.sleep(0.01)
        return task

    async with (
        tenure.asyncio.open_supervisor(folder / "agents.db", behaviours={"clerk": clerk}, drain_s=0.1) as supervisor,
        open_handler(supervisor, CARD, kind="clerk") as handler,
        httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=create_jsonrpc_routes(handler, "/")))) as http,
    ):
        client = ClientFactory(ClientConfig(httpx_client=http, streaming=False)).create(CARD)
        for what, ended in ENDS.items():
            task = await end(client, what)
            assert (task.status.state, told(task)) == ended, task
        # Those whose answer was not heard have the same end.
        found = await listed(client)
        while not ENDED.issuperset(task.status.state for task in found):
            await asyncio.sleep(0.01)
            found = await listed(client)
        assert all((task.status.state, told(task)) == ENDS[task.context_id] for task in found), found
    return f"{len(found)} {' '.join(sorted(world.read()))}"


async def listed(client: Client) -> list[Task]:
    return list((await client.list_tasks(ListTasksRequest(include_artifacts=True))).tasks)


if __name__ == "__main__":
    die_at_every_point(live, Path(sys.argv[1]))
