"""The measured commit on a PostgreSQL server: the store, and psycopg with the very same statements.

The yardsticks are cursors of psycopg, statement by statement, one transaction a commit; 64 commits a transaction, each in its
savepoint; and the same in a pipeline. The statements are what the store itself has sent for such commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any, Final, cast
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tenure.persistence.engines.engine import SqlValue
from tenure.persistence.engines.postgres.protocol.translation import translated
from tenure.persistence.engines.postgres.writer import Writer
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store, open_store
from tenure.testing.observing import inside_of, seen

from .report import Timing, median_of, ratio
from .workload import Agent, boundary_commit, commit_concurrently, in_turn, prepare

GROUP: Final = 64
SIZES: Final = (1, 10, 100)

Written = list[tuple[str, dict[str, SqlValue]]]


class Server:
    """Databases of one server, each a copy of a template with the agents."""

    def __init__(self, url: str) -> None:
        """`url`: of a role that may create databases."""
        self._url = url
        self._made: list[str] = []

    def new(self, template: str = "template1") -> str:
        """The URL of a new database."""
        name = f"tenure_commits_{len(self._made)}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE {urlsplit(template).path.strip('/') or template}".encode()
            )
        self._made.append(name)
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    def drop_all(self) -> None:
        """Remove what was made."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            for name in self._made:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


async def measure_on_server(url: str, repeats: int, runtimes: int, single: int, shared: int) -> dict[str, Any]:
    """Everything: the yardsticks, the store, its round trips a commit, and the ratios."""
    server = Server(url)
    try:
        template = server.new()
        agents = await prepare(template, runtimes, durability="disk")
        one, many = (
            await _record(server.new(template), agents[:1], single),
            await _record(server.new(template), agents, shared),
        )
        raw = {
            name: median_of(
                [_replay(server.new(template), written, group, pipelined=pipelined) for _ in range(repeats)]
            )
            for name, written, group, pipelined in (
                ("one_by_one", one, 1, False),
                ("grouped_in_savepoints", many, GROUP, False),
                ("grouped_in_a_pipeline", many, GROUP, True),
            )
        }
        store: dict[str, dict[str, float]] = {}
        trips: dict[str, float] = {}
        for size in [each for each in SIZES if each <= runtimes]:
            timings: list[Timing] = []
            for _ in range(repeats):
                async with open_store(server.new(template), seams=seen(Seams())) as opened:
                    before, count = _trips(opened), single if size == 1 else shared
                    timings.append(await commit_concurrently(opened, agents[:size], size, count))
                    trips[str(size)] = round((_trips(opened) - before) / timings[-1].count, 2)
            store[str(size)] = median_of(timings)
    finally:
        server.drop_all()
    largest = store[str(max(map(int, store)))]["per_s"]
    ratios = {
        "1_to_one_by_one": ratio(store["1"]["per_s"], raw["one_by_one"]["per_s"]),
        "most_to_grouped_in_savepoints": ratio(largest, raw["grouped_in_savepoints"]["per_s"]),
        "most_to_grouped_in_a_pipeline": ratio(largest, raw["grouped_in_a_pipeline"]["per_s"]),
    }
    return {"raw": raw, "store": store, "round_trips_a_commit": trips, "ratios": ratios}


def _trips(store: Store) -> int:
    return _writer(store).trips


def _writer(store: Store) -> Writer:
    """The connection that writes."""
    return cast("Writer", vars(inside_of(store))["_connection"])


async def _record(url: str, agents: Sequence[Agent], count: int) -> list[Written]:
    """What the store sends for each of so many commits."""
    recorded: list[Written] = []
    async with open_store(url, seams=seen(Seams())) as store:
        writer = _writer(store)
        write = writer.write

        def note(name: str, /, **parameters: SqlValue) -> None:
            recorded[-1].append((name, parameters))
            write(name, **parameters)

        vars(writer)["write"] = note
        for agent, body in in_turn(agents, count):
            recorded.append([])
            await store.commit(boundary_commit(agent, body))
        del vars(writer)["write"]
    return recorded


def _replay(url: str, recorded: Sequence[Written], group: int, *, pipelined: bool) -> Timing:
    """The same statements by psycopg: so many commits a transaction."""
    sql = {name: translated(text) for name, text in load_statements("postgres/statements.sql").items()}
    latencies: list[float] = []
    with psycopg.connect(url, autocommit=True, prepare_threshold=0, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute("SET search_path TO tenure")
        began = perf_counter()
        for first in range(0, len(recorded), group):
            at = perf_counter()
            within: AbstractContextManager[Any] = connection.pipeline() if pipelined else nullcontext()
            with within, connection.transaction():
                for written in recorded[first : first + group]:
                    with connection.transaction() if group > 1 else nullcontext():
                        for name, parameters in written:
                            connection.execute(sql[name].sql.encode(), [parameters[each] for each in sql[name].names])
            latencies.append(perf_counter() - at)
        elapsed = perf_counter() - began
    return Timing(count=len(recorded), elapsed_s=elapsed, latencies_s=sorted(latencies) if group == 1 else ())
