"""LangGraph over tenure: checkpoints of graphs, and what they remember beyond a thread, in a store.

    import tenure.asyncio
    from tenure.adapters.langgraph import TenureSaver, TenureStore

    async with tenure.asyncio.open_store("agents.db") as store:
        graph = builder.compile(checkpointer=TenureSaver(store), store=TenureStore(store))
        await graph.ainvoke(inputs, {"configurable": {"thread_id": "alice"}})

A program without a loop makes it of a store of `tenure.sync`, and calls `invoke`. Needs the extra `langgraph`.
"""

from __future__ import annotations

try:
    from .saver import TenureSaver as TenureSaver
    from .store import TenureStore as TenureStore
except ModuleNotFoundError as exc:
    exc.add_note("this adapter needs more: pip install 'tenure[langgraph]'")
    raise

__all__ = ["TenureSaver", "TenureStore"]
