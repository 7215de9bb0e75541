"""A LangGraph graph is killed in the middle, and goes on: its checkpoints are in a store.

    pip install '.[langgraph]' langgraph
    python examples/adapters/langgraph_trip.py --db trip.db --kill-in report
    python examples/adapters/langgraph_trip.py --db trip.db

The graph plans a trip, asks three services side by side, and writes a report. The first command ends itself by SIGKILL in the
node that is named; the second finds the thread where it stands and runs what is left of it. Each node writes a line into a file
beside the store when it is called: what a step before the kill has called is not called again. What to look at is these
lines, printed at the end.
"""

from __future__ import annotations

import argparse
import operator
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

import tenure.sync
from tenure.adapters.langgraph import TenureSaver

SERVICES = ("weather", "trains", "hotels")
THREAD: RunnableConfig = {"configurable": {"thread_id": "trip to Lisbon"}}


class Trip(TypedDict):
    """The state of the graph."""

    answers: Annotated[list[str], operator.add]


def build(called: Path, kill_in: str | None) -> Any:
    """The graph, whose nodes write into a file that they were called."""

    def node(name: str) -> Callable[[Trip], dict[str, list[str]]]:
        def call(state: Trip) -> dict[str, list[str]]:
            if name == kill_in:
                os.kill(os.getpid(), signal.SIGKILL)
            with called.open("a") as file:
                file.write(f"{name}\n")
            return {"answers": [f"{name}, knowing {len(state['answers'])} answers"]}

        return call

    builder: Any = StateGraph(Trip)
    for name in ("plan", *SERVICES, "report"):
        builder.add_node(name, node(name))
    builder.add_edge(START, "plan")
    for service in SERVICES:
        builder.add_edge("plan", service)
    builder.add_edge(SERVICES, "report")
    builder.add_edge("report", END)
    return builder


def main() -> None:
    """Run the graph from where it stands to its end, or to where it is killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", type=Path, required=True, help="the store")
    parser.add_argument("--kill-in", choices=("plan", *SERVICES, "report"), help="end by SIGKILL in this node")
    given = parser.parse_args()
    called = given.db.with_suffix(".called")
    with tenure.sync.open_store(given.db) as store:
        graph = build(called, given.kill_in).compile(checkpointer=TenureSaver(store))
        stands = graph.get_state(THREAD)
        if stands.next:
            print("goes on with:", ", ".join(stands.next))
        # None goes on; an input would begin anew. A step begins when the checkpoint before it is on disk.
        state = graph.invoke(None if stands.next else {"answers": []}, THREAD, durability="sync")
    for answer in state["answers"]:
        print(answer)
    print("called:", " ".join(called.read_text().split()))


if __name__ == "__main__":
    main()
