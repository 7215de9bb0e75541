"""A small store made of APSW alone, right or with one thing wrong: what the kit is tried on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import apsw
import attrs
import trio

from tenure.testing import Check, FaultKind, FaultSweep, History, Machine, PowerCut, Reopening, Witness

TABLES = 4


@attrs.frozen(kw_only=True)
class Options:
    """What may be wrong; the defaults are right."""

    commits: int = 20
    checkpoint_every: int = 7
    synchronous: str = "FULL"
    acknowledge_early: bool = False
    two_transactions: bool = False
    rescue_log: bool = True
    commit_at_open: bool = True
    refuse_at_error: bool = False
    sync_folder: bool = True
    sync_folder_again: bool = True


class Store:
    """One connection; the n-th commit writes the row n to every table."""

    def __init__(self, machine: Machine, options: Options) -> None:
        """Open as tenure does: rescue the log, connect, commit something of its own."""
        self._options = options
        path, files = machine.path(), machine.files
        folder, log, fresh = machine.path("").rstrip("/"), f"{path}-wal", f"{path}-wal-fresh"
        if not files.exists(path):
            files.write(path, b"")
            if options.sync_folder:
                files.sync(path)
                files.sync_folder(folder)
        if options.rescue_log and files.exists(log):
            files.copy(log, fresh)
            files.sync(fresh)
            files.rename(fresh, log)
            files.sync_folder(folder)
        self.db = apsw.Connection(path, vfs=machine.vfs_name)
        try:
            self._configure()
            self._commit_at_open()
            if options.sync_folder_again:
                # The names of log and rollback journal: SQLite does not look whether syncing them succeeded. After the
                # first commit, which creates the log.
                files.sync_folder(folder)
        except BaseException:
            self.db.close()
            raise

    def _configure(self) -> None:
        options = self._options
        self.db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.db.wal_autocheckpoint(0)
        self.db.pragma("locking_mode", "EXCLUSIVE")
        assert self.db.pragma("journal_mode", "WAL") == "wal"
        self.db.pragma("synchronous", options.synchronous)

    def _commit_at_open(self) -> None:
        if self._options.commit_at_open:
            tables = "".join(
                f"CREATE TABLE IF NOT EXISTS t{n} (id INTEGER PRIMARY KEY, body TEXT);"
                f"CREATE INDEX IF NOT EXISTS i{n} ON t{n} (body);"
                for n in range(TABLES)
            )
            self.db.execute(
                f"BEGIN; {tables} CREATE TABLE IF NOT EXISTS opened (id INTEGER PRIMARY KEY);"
                "INSERT INTO opened DEFAULT VALUES; COMMIT"
            )

    def commit(self, number: int, witness: Witness) -> None:
        witness.attempted("row", number)
        self.db.execute("BEGIN IMMEDIATE")
        for table in range(TABLES):
            self.db.execute(f"INSERT INTO t{table} (id, body) VALUES (?, ?)", (number, "x" * 100 * table))
            if self._options.two_transactions and table == 1:
                self.db.execute("COMMIT; BEGIN")
        if self._options.acknowledge_early:
            witness.acknowledged("row", number)
        self.db.execute("COMMIT")
        if not self._options.acknowledge_early:
            witness.acknowledged("row", number)

    def rows(self) -> list[list[int]]:
        if self.db.execute("SELECT 1 FROM sqlite_schema WHERE name = 't3'").get is None:
            return [[] for _ in range(TABLES)]
        return [[row[0] for row in self.db.execute(f"SELECT id FROM t{n} ORDER BY id")] for n in range(TABLES)]


@attrs.frozen
class Scenario:
    """Commits one row after the other, now and then with a checkpoint."""

    options: Options

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        store = Store(machine, self.options)
        try:
            for number in range(1, self.options.commits + 1):
                await trio.lowlevel.checkpoint()
                self._commit(store, number, witness)
                if number % self.options.checkpoint_every == 0:
                    store.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        finally:
            store.db.close()

    def _commit(self, store: Store, number: int, witness: Witness) -> None:
        try:
            store.commit(number, witness)
        except apsw.FullError:
            if store.db.in_transaction:
                store.db.execute("ROLLBACK")
            witness.refused("row", number)
        except apsw.IOError:
            if not self.options.refuse_at_error:
                witness.in_doubt("row", number)
                raise
            if store.db.in_transaction:
                store.db.execute("ROLLBACK")
            witness.refused("row", number)


class Rows:
    """Every acknowledged row is in every table, every other one in all or none."""

    name = "rows"

    async def ask(self, store: Store, history: History) -> object:
        rows = store.rows()
        assert all(each == rows[0] for each in rows), "half a commit is there"
        lost = set(history.acknowledged("row")) - set(rows[0])
        assert not lost, f"acknowledged and lost: {sorted(lost)}"
        assert set(rows[0]) <= set(history.attempted("row")), "a row that nobody wrote"
        assert not set(rows[0]) & set(history.refused("row")), "a refused row is there"
        return rows[0]


def reopening(options: Options) -> Reopening[Store]:
    @asynccontextmanager
    async def open_store(machine: Machine) -> AsyncGenerator[Store]:
        store = Store(machine, options)
        try:
            yield store
        finally:
            store.db.close()

    return Reopening(open_store=open_store, invariants=[Rows()])


def opening_once(options: Options) -> Check:
    """The same check without a second crash."""

    async def check(machine: Machine, history: History) -> None:
        async with reopening(options).open_store(machine) as store:
            await Rows().ask(store, history)

    return check


def power_cut(options: Options, *, budget: int = 600, seed: int = 0) -> PowerCut:
    return PowerCut(scenario=Scenario(options), check=reopening(options), budget=budget, seed=seed)


def fault_sweep(options: Options, *kinds: FaultKind, times: int = 1) -> FaultSweep:
    return FaultSweep(
        scenario=Scenario(options),
        check=reopening(options),
        errors=(apsw.IOError, apsw.CantOpenError, apsw.FullError, OSError),
        kinds=kinds or tuple(FaultKind),
        times=times,
    )
