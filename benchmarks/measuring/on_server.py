"""The measured commit on a PostgreSQL server, and whole inputs: the store, and psycopg with the very same statements.

The yardsticks are cursors of psycopg, statement by statement, one transaction a commit; 64 commits a transaction, each in its
savepoint; and the same in a pipeline. The statements are what the store itself has sent for such commits. Where DBOS is
installed, its steps stand beside them. Each turn measures every row once, in its own database; the medians are printed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, Final, cast, final
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tenure.persistence.engines.engine import SqlValue
from tenure.persistence.engines.postgres.protocol.translation import translated
from tenure.persistence.engines.postgres.writer import Writer
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.opening import open_store
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tenure.testing.observing import inside_of, seen

from .dbos_steps import dbos_steps
from .end_to_end import feed
from .far import far_away
from .report import Timing, median_of, ratio, scratch
from .workload import Agent, boundary_commit, commit_concurrently, in_turn, prepare

GROUP: Final = 64
SIZES: Final = (1, 10, 100)
DBOS_STEPS: Final = 600
"""So many steps of DBOS are a row, where that many commits are measured; they are slower."""

KINDS: Final = ("raw", "store", "store_1_ms_further", "inputs", "inputs_1_ms_further", "inputs_in_a_file", "dbos_steps")
FURTHER_S: Final = 0.001
"""So much longer takes a round trip to the server that is further away."""

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


async def measure_on_server(
    url: str, repeats: int, runtimes: int, single: int, shared: int, folder: Path | None = None
) -> dict[str, Any]:
    """Everything, in turns: yardsticks, the store near and far, whole inputs, round trips, and the ratios."""
    server = Server(url)
    try:
        template = server.new()
        agents = await prepare(template, runtimes, durability="disk")
        one = await _record(server.new(template), agents[:1], single)
        many = await _record(server.new(template), agents, shared)
        turns = [await _turn(server, template, agents, one, many, folder) for _ in range(repeats)]
    finally:
        server.drop_all()
    rows = {
        kind: {
            name: median_of([turn.timings[kind, name] for turn in turns]) for of, name in turns[0].timings if of == kind
        }
        for kind in KINDS
    }
    raw, store, most = rows["raw"], rows["store"], str(min(runtimes, SIZES[-1]))
    ratios = {
        "1_to_one_by_one": ratio(store["1"]["per_s"], raw["one_by_one"]["per_s"]),
        "most_to_grouped_in_savepoints": ratio(store[most]["per_s"], raw["grouped_in_savepoints"]["per_s"]),
        "most_to_grouped_in_a_pipeline": ratio(store[most]["per_s"], raw["grouped_in_a_pipeline"]["per_s"]),
        "most_1_ms_further_to_near": ratio(rows["store_1_ms_further"][most]["per_s"], store[most]["per_s"]),
        "inputs_1_ms_further_to_near": ratio(rows["inputs_1_ms_further"][most]["per_s"], rows["inputs"][most]["per_s"]),
        "inputs_to_those_in_a_file": ratio(rows["inputs"][most]["per_s"], rows["inputs_in_a_file"][most]["per_s"]),
    }
    ratios |= {
        f"{name}_to_dbos_steps": ratio(store[name]["per_s"], row["per_s"]) for name, row in rows["dbos_steps"].items()
    }
    return {**rows, "round_trips": turns[-1].trips, "ratios": ratios}


@final
class _Turn:
    """What one turn has measured: timings by kind and name, and the round trips of the connection that writes."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.timings: dict[tuple[str, str], Timing] = {}
        self.trips: dict[str, float] = {}


async def _turn(
    server: Server,
    template: str,
    agents: Sequence[Agent],
    one: Sequence[Written],
    many: Sequence[Written],
    folder: Path | None,
) -> _Turn:
    turn = _Turn()
    for name, written, group, pipelined in (
        ("one_by_one", one, 1, False),
        ("grouped_in_savepoints", many, GROUP, False),
        ("grouped_in_a_pipeline", many, GROUP, True),
    ):
        turn.timings["raw", name] = _replay(server.new(template), written, group, pipelined=pipelined)
    sizes = [each for each in SIZES if each <= len(agents)]
    for size in sizes:
        count = len(one) if size == 1 else len(many)
        timing, trips = await _commits(server.new(template), agents[:size], count)
        turn.timings["store", str(size)], turn.trips[f"a_commit_at_{size}"] = timing, trips
    with far_away(server.new(template), FURTHER_S) as further:
        turn.timings["store_1_ms_further", str(sizes[-1])], _ = await _commits(further, agents[: sizes[-1]], len(many))
    for size in sizes:
        count = max(len(one) // 2 if size == 1 else len(many) // 2, size)
        timing, trips = await _inputs(server.new(), size, count)
        turn.timings["inputs", str(size)], turn.trips[f"an_input_at_{size}"] = timing, trips
    most = sizes[-1]
    with far_away(server.new(), FURTHER_S) as further:
        turn.timings["inputs_1_ms_further", str(most)], _ = await _inputs(further, most, max(len(many) // 2, most))
    with scratch(folder) as name:
        turn.timings["inputs_in_a_file", str(most)] = await feed(Path(name), most, most, max(len(many) // 2, most))
    if find_spec("dbos") is not None:
        for size in sizes:
            count = max(min(DBOS_STEPS, len(many)), size)
            turn.timings["dbos_steps", str(size)] = dbos_steps(server.new(), size, count)
    return turn


async def _commits(url: str, agents: Sequence[Agent], count: int) -> tuple[Timing, float]:
    async with open_store(url, seams=seen(Seams())) as store:
        before = _writer(store).trips
        timing = await commit_concurrently(store, agents, len(agents), count)
        return timing, round((_writer(store).trips - before) / timing.count, 2)


async def _inputs(url: str, runtimes: int, count: int) -> tuple[Timing, float]:
    trips = 0

    @contextmanager
    def counted(store: Store) -> Generator[None]:
        nonlocal trips
        before = _writer(store).trips
        yield
        trips = _writer(store).trips - before

    timing = await feed(url, runtimes, runtimes, count, seams=seen(Seams()), watched=counted)
    return timing, round(trips / timing.count, 2)


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
            with connection.pipeline() if pipelined else nullcontext():
                connection.execute("BEGIN")
                for written in recorded[first : first + group]:
                    if group > 1:
                        connection.execute("SAVEPOINT one")
                    for name, parameters in written:
                        connection.execute(sql[name].sql.encode(), [parameters[each] for each in sql[name].names])
                    if group > 1:
                        connection.execute("RELEASE one")
                connection.execute("COMMIT")
            latencies.append(perf_counter() - at)
        elapsed = perf_counter() - began
    return Timing(count=len(recorded), elapsed_s=elapsed, latencies_s=sorted(latencies) if group == 1 else ())
