"""Google's Agent Development Kit over tenure: its sessions, with the state of users and applications, in a store.

    async with tenure.asyncio.open_store("agents.db") as store:
        runner = Runner(agent=agent, app_name="shop", session_service=TenureSessionService(store))

A program that calls the synchronous `Runner.run` makes it of a store of `tenure.sync`. Needs the extra `adk`.
"""

from __future__ import annotations

try:
    from .service import TenureSessionService as TenureSessionService
except ModuleNotFoundError as exc:
    exc.add_note("this adapter needs more: pip install 'tenure[adk]'")
    raise

__all__ = ["TenureSessionService"]
