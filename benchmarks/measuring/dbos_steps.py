"""Steps of DBOS workflows, on SQLite or on a server, as the library ships."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from .report import Timing
from .workload import messages


def dbos_steps(url: str, at_once: int, count: int) -> Timing:
    """One workflow on a thread for each conversation, each of its steps the record of one message; `url` is SQLAlchemy's."""
    dbos = importlib.import_module("dbos")
    bodies = messages(seed=count)
    turns = count // at_once
    instance = dbos.DBOS(config={"name": "peers", "system_database_url": url, "log_level": "ERROR"})

    @dbos.DBOS.step()
    def step(turn: int) -> Any:
        return bodies[turn % len(bodies)]

    @dbos.DBOS.workflow()
    def talk() -> None:
        for turn in range(turns):
            step(turn)

    try:
        instance.launch()
        elapsed = in_threads(lambda _: talk(), at_once)
    finally:
        instance.destroy(destroy_registry=True)
    return Timing(count=turns * at_once, elapsed_s=elapsed)


def in_threads(work: Callable[[int], None], count: int) -> float:
    """Seconds until `count` threads have each done the work."""
    with ThreadPoolExecutor(count) as pool:
        began = perf_counter()
        list(pool.map(work, range(count)))
        return perf_counter() - began
