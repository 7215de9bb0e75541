"""A host in a process of its own whose sync steps fork.

python tests/supervisor/signals/forking_host.py DATABASE trio|asyncio pool|terminate|early|own
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys

import trio

import tenure
import tenure.asyncio


def pool() -> list[int]:
    """Workers that are forked, used, and terminated at the end of the block."""
    with multiprocessing.get_context("fork").Pool(2) as workers:
        return workers.map(abs, [-1, -2, -3])


def terminate() -> list[int]:
    """A child that lives until SIGTERM, which must reach it and nothing else; which signal ended it."""
    ready, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            os.write(write, b"y" if interrupts and signal.set_wakeup_fd(-1) == -1 else b"n")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"y"
    os.kill(child, signal.SIGTERM)
    return [os.WTERMSIG(os.waitpid(child, 0)[1])]


def early() -> list[int]:
    """A child that a SIGTERM reaches before it runs a line of its own; which signal ended it, or its exit code."""
    child = os.fork()
    if not child:
        os._exit(1)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


def own() -> list[int]:
    """A child of a program with a handler of its own, which the child keeps."""
    child = os.fork()
    if not child:
        os._exit(signal.getsignal(signal.SIGUSR1) is not program_handler)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


def program_handler(*_: object) -> None:
    """The program's."""


STEPS = {"pool": pool, "terminate": terminate, "early": early, "own": own}


def behaviour_of(step: str) -> tenure.Behaviour:
    async def forks(run: tenure.Run) -> None:
        run.session.append(await run.step("fork", STEPS[step], repeat="freely"))

    return tenure.Behaviour(forks)


async def on_trio(database: str, step: str) -> object:
    async with tenure.open_supervisor(database, behaviours={"k": behaviour_of(step)}) as supervisor:
        await (await (await supervisor.spawn("a", "k")).accept(1)).wait_outcome()
        return await supervisor.read_session("a")


async def on_asyncio(database: str, step: str) -> object:
    async with tenure.asyncio.open_supervisor(database, behaviours={"k": behaviour_of(step)}) as supervisor:
        await (await (await supervisor.spawn("a", "k")).accept(1)).wait_outcome()
        await asyncio.sleep(0)
        return await supervisor.read_session("a")


def main(database: str, front: str, step: str) -> None:
    signal.signal(signal.SIGUSR1, program_handler)
    if step == "early":  # a hook that is older than the host's runs before it in the child
        os.register_at_fork(after_in_child=lambda: signal.raise_signal(signal.SIGTERM))
    found: object = trio.run(on_trio, database, step) if front == "trio" else asyncio.run(on_asyncio(database, step))
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
