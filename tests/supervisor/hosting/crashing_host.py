"""A host for a child process of `test_crashes.py`: it says on standard output what it did, and may kill itself.

python crashing_host.py DATABASE accept         accept inputs, and print each key once accept has returned
python crashing_host.py DATABASE alone          the poisoned run in flight, then SIGKILL
python crashing_host.py DATABASE crash          three runs in flight, then SIGKILL
python crashing_host.py DATABASE go-on          recover, wait for the innocent, then for the poisoned runtime
"""

from __future__ import annotations

import os
import signal
import sys

import trio
import trio.testing

import tenure

INNOCENT = ("a", "z")
"""Before and behind the poisoned one, by id."""

POISONED = "p"


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def never(run: tenure.Run) -> None:
    await trio.sleep_forever()


async def accept(database: str) -> None:
    async with tenure.open_supervisor(database, behaviours={"kind": never}) as supervisor:
        runtimes = [await supervisor.spawn(name, "kind") for name in "abc"]
        for n in range(10_000):
            await runtimes[n % 3].accept({"n": n}, idempotency_key=str(n))
            say(n)


async def alone(database: str) -> None:
    async def poison(run: tenure.Run) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async with tenure.open_supervisor(database, behaviours={"poison": poison}) as supervisor:
        await (await supervisor.spawn(POISONED, "poison")).accept("go", idempotency_key="k")
        await trio.sleep_forever()


async def crash(database: str) -> None:
    in_flight: list[str] = []

    async def innocent(run: tenure.Run) -> None:
        in_flight.append(run.runtime_id)
        await trio.sleep_forever()

    async def poison(run: tenure.Run) -> None:
        while len(in_flight) < len(INNOCENT):  # noqa: ASYNC110 - two events would say no more
            await trio.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)

    behaviours = {"innocent": innocent, "poison": poison}
    async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
        for name in (*INNOCENT, POISONED):
            runtime = await supervisor.spawn(name, "poison" if name == POISONED else "innocent")
            await runtime.accept("go", idempotency_key="k")
        await trio.sleep_forever()


async def go_on(database: str) -> None:
    async def innocent(run: tenure.Run) -> None:
        # Long enough for the poison to act where both were started together.
        await trio.sleep(0.5)

    async def poison(run: tenure.Run) -> None:
        await trio.testing.wait_all_tasks_blocked(0.005)  # whose end was told has said so
        say("poisoned")
        os.kill(os.getpid(), signal.SIGKILL)

    behaviours = {"innocent": innocent, "poison": poison}
    async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
        for name in INNOCENT:
            outcome = await (await supervisor.ticket(name, idempotency_key="k")).wait_outcome()
            say(name, outcome.phase)
        poisoned = await supervisor.spawn(POISONED, "poison")
        if not poisoned.held:
            await trio.sleep_forever()  # it kills us
        say("held", poisoned.held)


if __name__ == "__main__":
    trio.run({"accept": accept, "alone": alone, "crash": crash, "go-on": go_on}[sys.argv[2]], sys.argv[1])
