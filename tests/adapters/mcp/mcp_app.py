"""An MCP server whose tools are tasks: those that the conformance scenarios want, and two that note what they do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult
from starlette.applications import Starlette

import tenure
import tenure.asyncio
from tenure.adapters.mcp import TaskTool, TenureTasks, ask_client, tool_behaviour

FOLDER = Path(os.environ["FOLDER"])
GATE = FOLDER / "gate"


def question(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema: dict[str, Any] = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def note(text: str) -> None:
    with (FOLDER / "asked").open("a") as file:
        file.write(f"{text}\n")


@tool_behaviour
async def clerk(run: tenure.asyncio.Run, text: str) -> Any:
    if text == "data":
        return {"answer": [1, None, {"é": 0.5}]}
    if text == "list":
        return [1, 2]
    if text == "nothing":
        return None
    await run.step("note", note, text, repeat="never")
    while not GATE.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.02)
    return f"done: {text}"


@tool_behaviour
async def asker(run: tenure.asyncio.Run, _: Any) -> str:
    first = await ask_client(run, {"a": question("a?", "a"), "b": question("b?", "b")})
    await run.step("note", note, "asked once", repeat="never")
    second = await ask_client(run, {"a": question("a again?", "a")})
    return f"{first['a']['content']['a']} {first['b']['content']['b']} {second['a']['content']['a']}"


@tool_behaviour
async def compute(run: tenure.asyncio.Run, seconds: float) -> str:
    await run.sleep(seconds)
    return f"computed for {seconds} s"


@tool_behaviour
async def fail(_: tenure.asyncio.Run, what: str) -> None:
    if what == "tool":
        message = "the job has failed"
        raise ToolError(message)
    message = "not for clients"
    raise RuntimeError(message)


@tool_behaviour
async def confirm(run: tenure.asyncio.Run, names: list[str]) -> str:
    said = await ask_client(run, {name: question(f"{name}?", "confirm", "boolean") for name in names})
    return f"confirmed: {sorted(said)}"


@tool_behaviour
async def greeter(_: tenure.asyncio.Run, name: str) -> str:
    return f"Hello, {name}!"


def work(text: str) -> str:
    """Work until the gate opens."""
    return "x" * 2**24 if text == "large" else text


async def ask() -> None:
    """Ask for three things in two rounds."""


def slow_compute(seconds: float, label: str = "") -> float:
    """Compute."""
    del label
    return seconds


def failing_job() -> str:
    """Fail, and say so."""
    return "tool"


def protocol_error_job() -> str:
    """Fail."""
    return "protocol"


def confirm_delete(filename: str) -> list[str]:
    """Ask before a file is deleted."""
    return [filename]


def multi_input() -> list[str]:
    """Ask for two things."""
    return ["name", "place"]


def greet_later(ctx: Context) -> Any:
    """Ask for a name, and greet later."""
    answer: Any = (ctx.input_responses or {}).get("user_name")
    if answer is None:
        return InputRequiredResult(input_requests={"user_name": question("your name?", "name")})
    return answer.content["name"]


TOOLS = [
    TaskTool(work, kind="clerk"),
    TaskTool(ask, kind="asker", required=True),
    TaskTool(slow_compute, kind="compute"),
    TaskTool(failing_job, kind="fail", required=True),
    TaskTool(protocol_error_job, kind="fail"),
    TaskTool(confirm_delete, kind="confirm", required=True),
    TaskTool(multi_input, kind="confirm", required=True),
    TaskTool(greet_later, name="test_tool_with_task", kind="greeter", required=True),
]
BEHAVIOURS = {
    "clerk": clerk,
    "asker": asker,
    "compute": compute,
    "fail": tenure.Behaviour(fail, restart=tenure.RestartPolicy(max_attempts=1)),
    "confirm": confirm,
    "greeter": greeter,
}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    async with tenure.asyncio.open_supervisor(FOLDER / "agents.db", behaviours=BEHAVIOURS, drain_s=0.1) as supervisor:
        server = MCPServer("desk", extensions=[TenureTasks(supervisor, TOOLS, poll_interval_ms=50)])

        @server.tool()
        def greet(name: str) -> str:
            """Greet at once."""
            return f"Hello, {name}!"

        inner = server.streamable_http_app()
        async with inner.router.lifespan_context(inner):
            app.router.routes += inner.routes
            yield


app = Starlette(lifespan=lifespan)
