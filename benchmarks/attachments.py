"""Attachments: a large file put and fetched in pieces, and how much memory that takes beyond what a small one takes.

    python benchmarks/attachments.py                # 2 GiB
    python benchmarks/attachments.py --mib 64       # the share that stands in the tests

`put_file` is on disk, with its name, when it returns; it is stamped, and `get_file` writes it into a new file and compares it
with its digest. Beside it stands a copy of the same file by `shutil.copyfile` with an fsync, and SHA-256 over it. `more_mib` is
how far the highest resident memory of the process rose over that after the same with 8 MiB.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import sys
from pathlib import Path
from time import perf_counter
from typing import Final

import trio
from measuring.report import options, print_line, scratch

from tenure.persistence.opening import open_store
from tenure.persistence.store import Store

MIB: Final = 1 << 20
SESSION: Final = "talk"


def highest_mib() -> float:
    """The highest resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def make(path: Path, mib: int) -> None:
    """A file of so many MiB, of which no two are equal."""
    with path.open("wb") as file:
        for number in range(mib):
            file.write(hashlib.sha256(number.to_bytes(8, "big")).digest() * (MIB // 32))


async def through(store: Store, path: Path) -> tuple[float, float]:
    """Put a file, stamp it, fetch it, and let go of both; seconds of both ways."""
    fetched = path.with_name(f"{path.name}-fetched")
    began = perf_counter()
    attachment_id = await store.attachments.put_file(SESSION, str(path))
    put_s = perf_counter() - began
    await store.attachments.commit_refs(SESSION, [attachment_id])
    began = perf_counter()
    await store.attachments.get_file(SESSION, attachment_id, str(fetched))
    get_s = perf_counter() - began
    await trio.Path(fetched).unlink()  # `get_file` has compared it with its digest
    await store.attachments.forget(SESSION, attachment_id)
    return put_s, get_s


def copy(path: Path) -> float:
    """Seconds of a plain copy, on disk, and of its digest."""
    target = path.with_name(f"{path.name}-copy")
    began = perf_counter()
    shutil.copyfile(path, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
        hashlib.file_digest(file, "sha256")
    elapsed = perf_counter() - began
    target.unlink()
    return elapsed


async def measure(folder: Path, mib: int) -> dict[str, float]:
    """One line's figures."""
    small, large = folder / "small", folder / "large"
    make(small, 8)
    make(large, mib)
    async with open_store(folder / "attachments.db") as store:
        await through(store, small)
        before = highest_mib()
        put_s, get_s = await through(store, large)
        more = highest_mib() - before
    return {
        "put_mib_per_s": round(mib / put_s, 1),
        "get_mib_per_s": round(mib / get_s, 1),
        "copy_mib_per_s": round(mib / copy(large), 1),
        "more_mib": round(more, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--mib", type=int, help="size of the file (2048; 16 where it is small)")
    asked = parser.parse_args()
    mib = asked.mib or (16 if asked.small else 2_048)
    with scratch(asked.folder) as folder:
        found = trio.run(measure, Path(folder), mib)
    print_line("attachments", mib=mib, **found)


if __name__ == "__main__":
    main()
