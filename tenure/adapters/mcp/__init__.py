"""MCP over tenure: tools whose calls are tasks, and whose tasks are inputs of runtimes.

    @tool_behaviour
    async def report(run: tenure.asyncio.Run, topic: str) -> str: ...

    def write_report(topic: str) -> str:
        return topic

    async with tenure.asyncio.open_supervisor("agents.db", behaviours={"report": report}) as supervisor:
        tasks = TenureTasks(supervisor, [TaskTool(write_report, kind="report")])
        await MCPServer("desk", extensions=[tasks]).run_streamable_http_async()

For the protocols of 2025 there is an event store, with which clients resume a stream whose connection broke:

    app = EventSessions(server.streamable_http_app(event_store=TenureEventStore(store)))

Needs the extra `mcp`.
"""

from __future__ import annotations

try:
    from .behaviours import ask_client as ask_client, tool_behaviour as tool_behaviour
    from .events import EventSessions as EventSessions, TenureEventStore as TenureEventStore
    from .tasks import TaskTool as TaskTool, TenureTasks as TenureTasks
except ModuleNotFoundError as exc:
    exc.add_note("this adapter needs more: pip install 'tenure[mcp]'")
    raise

__all__ = ["EventSessions", "TaskTool", "TenureEventStore", "TenureTasks", "ask_client", "tool_behaviour"]
