"""A program that opens a store with ever more descriptors left, each time in a child of its own, and prints how that ended."""

from __future__ import annotations

import os
import sys

import tenure.sync
from tests.kit.commands import call
from tests.kit.descriptors import no_descriptor

MOST = 16


def use(front: str, database: str) -> str:
    """Open it and look into it. Says ``open``, or what the command said; raises what it raises."""
    if front == "sync":
        with tenure.sync.open_store(database) as store:
            store.health_check()
        return "open"
    ended = call("list", database)
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return "open" if ended.exit_code == 0 else ended.output.split(":")[1].strip()


def main(front: str, database: str) -> None:
    """One child for each number of descriptors."""
    for left in range(MOST):
        child = os.fork()
        if child == 0:
            with no_descriptor(but=left):
                try:
                    end = use(front, database)
                except Exception as exc:  # noqa: BLE001 - it is printed
                    end = type(exc).__name__
            sys.stdout.write(f"{end}\n")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
