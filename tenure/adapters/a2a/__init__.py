"""A2A over tenure: the tasks and push notification configs of an agent in a store, and one whose tasks are inputs of runtimes.

    async with (
        tenure.asyncio.open_supervisor("agents.db", behaviours={"clerk": clerk}) as supervisor,
        open_handler(supervisor, card, kind="clerk") as handler,
    ):
        app = Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/")])

Needs the extra `a2a`.
"""

from __future__ import annotations

try:
    from .agent import TenureAgent as TenureAgent
    from .handling import open_handler as open_handler
    from .pushes import TenurePushConfigStore as TenurePushConfigStore
    from .tasks import TenureTaskStore as TenureTaskStore
except ModuleNotFoundError as exc:
    exc.add_note("this adapter needs more: pip install 'tenure[a2a]'")
    raise

__all__ = ["TenureAgent", "TenurePushConfigStore", "TenureTaskStore", "open_handler"]
