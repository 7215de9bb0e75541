"""The opening of a store: it checks what is there, commits this host's own incarnation, and starts the writer."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator

from .engines.choice import door_to
from .engines.sealing.engine import SealedEngine
from .model.arguments import check_class, check_value
from .model.lifecycles.retention import KEEP, Retention
from .model.values import DurabilityClass, chosen_class
from .seams.interrupts import guarded, to_the_end
from .seams.limits import Limits
from .seams.nursery import background
from .seams.seams import Seams
from .store import Store, erasures_of, ground_of
from .writing.closing import open_host


@guarded
async def open_store(
    target: str | os.PathLike[str],
    *,
    durability: DurabilityClass | str | None = None,
    limits: Limits | None = None,
    retention: Retention | None = None,
    seams: Seams | None = None,
) -> AsyncGenerator[Store]:
    """Open a store, and close it after the body.

    Args:
        target: A path, ``sqlite:///path``, ``postgresql://...`` (docs/postgres.md), or ``:memory:`` for a store that lives as
            long as the body.
        durability: What an acknowledgement survives: ``quorum`` the loss of a server, ``disk`` a power cut, ``os`` a killed
            process, ``memory`` nothing. None is what can be had: ``memory`` for ``:memory:``, ``disk`` for a file, and for a
            server ``quorum`` where it waits for a standby, else ``disk``.
        limits: The limits; defaults for None.
        retention: How much output is kept where this store writes some; None: all. The rest of it is for `open_supervisor`.
        seams: Clocks, threads, files and the like; those of the system for None.

    Raises:
        StoreLocked: Another host has the file for itself, or was opening it for `Limits.busy_s` seconds; or hosts are there
            since before the store broke.
        Contended: Another host held the write lock for `Limits.busy_s` seconds, or a server did not answer for so long.
        CannotOpen: A missing folder, no permission, a read-only disk, a file with several names.
        NotADatabase: A folder, another program's database, or no database at all.
        Corrupt: The file was cut off, or only its log is left.
        SchemaMismatch: A newer tenure wrote it, or one between two releases.
        KeyMissing, WrongKey: It is sealed, and the codec lacks its key, or has another one under that id.
        StorePromoted, PromotionUnfinished: It was promoted, and is closed for good; or is not whole yet.
        StoreMoved: Its server was failed over, or restored, while it opened.
        NetworkFileSystem: The file is on one, as far as the system says.
        UnsafeSqlite: The SQLite library can lose commits.
        WeakDurability: What `durability` asks cannot be given.
        DiskFull: There is no room for a new database, or for the copy of the log that an open makes.
        StoreBroken, NoThread, NoDescriptor: An I/O error; the system gives this process no further thread, or no file.
        InvalidInput, Unsupported: No path, or no such class; a target that this version has no engine for; not on trio.

    Cancellation: the body's. Leaving it normally drains what was submitted; leaving it by an exception or a cancellation,
    also while it drains, settles what waits with `Closed` and closes within a bound. The body's exception leaves unwrapped;
    a disk that fails while the store closes, or failed after the last answer, is `StoreBroken`.
    """
    asked = check_value(durability, str | None, "durability")
    kept = KEEP if retention is None else retention
    check_class(kept, Retention, "retention")
    seams = Seams() if seams is None else seams
    door = door_to(target, limits, seams)
    limits, seams = door.limits, door.seams
    engine = door.engine(None if asked is None else chosen_class(asked, door.strongest))
    if seams.codec is not None:
        engine = SealedEngine(engine, seams.codec, seams.random, seams.wall_clock)
    executor = seams.writer_executor()
    try:
        # A cancelled opening would leave a thread that holds the lock; the opening is bounded by `busy_s`.
        opened = await open_host(executor, engine, limits, seams)
    except BaseException:
        executor.close()
        raise
    store = Store(opened, executor, limits, kept, seams)
    ground = ground_of(store)
    async with background(*ground.tasks, erasures_of(store).serve) as body:
        with body:
            yield store
            await ground.drain()
        with body:
            await to_the_end(ground.close)
    body.reraise()
