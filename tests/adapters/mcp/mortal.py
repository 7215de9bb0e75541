"""A server whose tools are tasks, and a client of it that goes on with the task it has heard of, killed at every point.

    python mortal.py FOLDER

The points are before and after each input, question, cancellation and step.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import ElicitRequest, ElicitRequestFormParams

import tenure.asyncio
from tenure.adapters.mcp import TaskTool, TenureTasks, ask_client, tool_behaviour
from tests.adapters.mcp.test_tasks import ENDED, Tasks, create, send
from tests.adapters.mortal import Notes, Points, die_at_every_point

WORDS = {"x?": "1", "y?": "2", "z?": "3"}


def question(message: str) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema={"type": "object"}))


def work(what: str) -> str:
    """Work."""
    return what


async def live(folder: Path, points: Points) -> str:
    world, heard = Notes(folder / "world"), Notes(folder / "heard")
    points.around(tenure.asyncio.Supervisor, "accept")
    points.around(tenure.asyncio.Runtime, "cancel")
    points.around(tenure.asyncio.Run, "checkpoint", "wait_steered")

    @tool_behaviour
    async def clerk(run: tenure.asyncio.Run, what: str) -> str:
        await run.step("note", world.note, what, repeat="freely")
        points.point()
        if what == "waits":
            await asyncio.Event().wait()
        first = await ask_client(run, {"x": question("x?"), "y": question("y?")})
        second = await ask_client(run, {"z": question("z?")})
        return f"{first['x']['content']}{first['y']['content']}{second['z']['content']}"

    async def told(client: Client, what: str) -> dict[str, Any]:
        """The end of a task, which is called anew where no id of it was heard."""
        known = [line.partition(" ")[2] for line in heard.read() if line.startswith(what)]
        task_id = known[0] if known else str((await create(client, "work", what=what))["taskId"])
        if not known:
            heard.note(f"{what} {task_id}")
            points.point()
        while (task := await send(client, "get", task_id))["status"] not in ENDED:
            if what == "waits" and what in world.read():
                await send(client, "cancel", task_id)
            for key, asked in task.get("inputRequests", {}).items():
                content = WORDS[asked["params"]["message"]]
                await send(client, "update", task_id, inputResponses={key: {"action": "accept", "content": content}})
            await asyncio.sleep(0.01)
        return task

    behaviours = {"clerk": clerk}
    async with tenure.asyncio.open_supervisor(folder / "agents.db", behaviours=behaviours, drain_s=0.1) as supervisor:
        tasks = TenureTasks(supervisor, [TaskTool(work, kind="clerk")])
        async with Client(MCPServer("desk", extensions=[tasks]), extensions=[Tasks()]) as client:
            asks = await told(client, "asks")
            assert asks["result"]["content"][0]["text"] == "123", asks
            waits = await told(client, "waits")
            assert waits["status"] == "cancelled", waits
            assert [(await told(client, what))["status"] for what in ("asks", "waits")] == ["completed", "cancelled"]
    heard_of = len({line.partition(" ")[2] for line in heard.read()})
    return f"{heard_of} {' '.join(sorted(world.read()))}"


if __name__ == "__main__":
    die_at_every_point(live, Path(sys.argv[1]))
