"""LangGraph over tenure: checkpoints of graphs in a store.

    import tenure.asyncio
    from tenure.adapters.langgraph import TenureSaver

    async with tenure.asyncio.open_store("agents.db") as store:
        graph = builder.compile(checkpointer=TenureSaver(store))
        await graph.ainvoke(inputs, {"configurable": {"thread_id": "alice"}})

A program without a loop makes it of a store of `tenure.sync`, and calls `invoke`. Needs the extra `langgraph`.
"""

from __future__ import annotations

from .saver import TenureSaver as TenureSaver

__all__ = ["TenureSaver"]
