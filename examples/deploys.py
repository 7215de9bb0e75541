"""Deploying while runs are unfinished: what fits goes on, what does not is held, and nothing is charged twice.

    python examples/deploys.py

Each act is its own process. What to look at:

- *version 1*: an order is looked up and charged, and the process is killed while it is shipped.
- *version 2*: a new behaviour weighs each parcel before it charges. The order of before goes on under it: `run.patched` is
  false where a run has gone the old way, so the record still fits. Three more orders go the new way, up to the shipping, in
  which this process is killed too.
- *version 3*: no parcel is weighed any more. The three runs have recorded a step that their behaviour does not ask for: they
  are held before anything is done, and the error says at which place. Two of them are resumed, each in its way: `forget` takes
  the step out of the record, and those after it move up; `restart_run` begins the run anew, and takes along what must never
  be done twice.
- *version 2 again*: the third way is to roll back, and resume.

In the end each buyer is charged once. The lookup was repeated where the run was begun anew: it is `freely`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, final

import attrs
import trio
from scratch import database, parser

import tenure

PRICES: Final = {"ann": 40, "bob": 90, "cid": 25, "dan": 60}
LATER: Final = ("bob", "cid", "dan")
DIES_IN: Final = {1: ("ann",), 4: LATER}
"""Whose parcels kill the process, by how many are sent by then."""


@final
@attrs.frozen(slots=True)
class World:
    """What is outside: a book of what was done, that no database of ours can take back."""

    book: Path
    dies_with: int = 0

    def look(self, buyer: str) -> int:
        """The price of an order."""
        self._write({"looked": buyer})
        return PRICES[buyer]

    def weigh(self, buyer: str) -> int:
        """The weight of a parcel."""
        return len(buyer)

    def charge(self, buyer: str, price: int) -> str:
        """Take the money."""
        self._write({"charged": price, "of": buyer})
        return f"charged {price}"

    def ship(self, buyer: str) -> str:
        """Send a parcel; or wait until so many are sent, each with its charge on disk, and kill the process in the middle."""
        self._write({"shipped": buyer})
        while self.dies_with and buyer in DIES_IN[self.dies_with]:
            if len({entry["shipped"] for entry in self.entries("shipped")}) == self.dies_with:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.01)
        return f"a parcel for {buyer}"

    def entries(self, of: str) -> list[dict[str, Any]]:
        """All lines of a kind."""
        lines = self.book.read_text(encoding="utf-8").splitlines() if self.book.exists() else []
        return [entry for entry in map(json.loads, lines) if of in entry]

    def _write(self, entry: dict[str, Any]) -> None:
        with self.book.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


# --- Three versions of one behaviour --------------------------------------------------------------


def behaviour(version: str, world: World) -> tenure.Behaviour:
    """The behaviour of a version: in its own program there would be one of them, in its newest form."""

    async def first(run: tenure.Run) -> None:
        buyer = run.runtime_id
        price = await run.step("look", world.look, buyer, repeat="freely")
        run.session.append(await run.step("charge", world.charge, buyer, price, repeat="never"))
        run.session.append(await run.step("ship", world.ship, buyer, repeat="freely"))

    async def second(run: tenure.Run) -> None:
        buyer = run.runtime_id
        price = await run.step("look", world.look, buyer, repeat="freely")
        if await run.patched("parcels are weighed"):
            run.session.append({"grams": await run.step("weigh", world.weigh, buyer, repeat="freely")})
        run.session.append(await run.step("charge", world.charge, buyer, price, repeat="never"))
        run.session.append(await run.step("ship", world.ship, buyer, repeat="freely"))

    versions = {"1": first, "2": second, "3": first}
    return tenure.Behaviour(versions[version], version=version)


# --- The acts, each in its own process -------------------------------------------------------


async def sell(supervisor: tenure.Supervisor) -> None:
    """Take the first order. Shipping it kills this process."""
    await (await supervisor.spawn("ann", "shop")).accept("an order", idempotency_key="order")
    await trio.sleep_forever()


async def sell_more(supervisor: tenure.Supervisor) -> None:
    """Finish the first order, and take three more. Shipping them kills this process."""
    print(f"    ann's order is {await outcome(supervisor, 'ann')}: {await supervisor.read_session('ann')}", flush=True)
    for name in LATER:
        await (await supervisor.spawn(name, "shop")).accept("an order", idempotency_key="order")
    await trio.sleep_forever()


async def change(supervisor: tenure.Supervisor) -> None:
    """Find three runs held, and resume two of them."""
    for name in LATER:
        runtime = await supervisor.spawn(name, "shop")
        held = await runtime.wait_held()
        place = next(entry.place for entry in await supervisor.entries(name) if entry.name == "weigh")
        print(f"    {name} is held: {held}; {place} is weigh, and charge is asked for there")
    print("    bob: forget the step that is gone")
    await supervisor.runtime("bob").resume(forget=("weigh",))
    print("    cid: begin the run anew")
    await supervisor.runtime("cid").resume(restart_run=True)
    for name in ("bob", "cid"):
        print(f"    {name}'s order is {await outcome(supervisor, name)}: {await supervisor.read_session(name)}")


async def roll_back(supervisor: tenure.Supervisor) -> None:
    """Resume the third under the version that it was begun by."""
    print("    dan: resume, as it was")
    await (await supervisor.spawn("dan", "shop")).resume()
    print(f"    dan's order is {await outcome(supervisor, 'dan')}: {await supervisor.read_session('dan')}")


async def outcome(supervisor: tenure.Supervisor, name: str) -> str:
    """How the order of a buyer has ended."""
    await supervisor.spawn(name, "shop")
    ticket = await supervisor.ticket(name, idempotency_key="order")
    return str((await ticket.wait_outcome()).phase)


ACTS: Final[dict[str, tuple[str, int, Callable[..., Awaitable[None]]]]] = {
    "version 1": ("1", 1, sell),
    "version 2": ("2", 4, sell_more),
    "version 3": ("3", 0, change),
    "version 2 again": ("2", 0, roll_back),
}
"""Each with its version, with how many parcels it dies, and what is done."""


async def play(path: Path, act: str) -> None:
    """Play one act on its own host."""
    version, dies_with, body = ACTS[act]
    world = World(path.with_suffix(".book"), dies_with)
    async with tenure.open_supervisor(path, behaviours={"shop": behaviour(version, world)}, drain_s=0) as supervisor:
        await body(supervisor)


def main() -> int:
    """Play all acts, each in a child process, or the one that was asked for; 0 when each was charged once."""
    arguments = parser(__doc__)
    arguments.add_argument("--act", choices=list(ACTS), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.act:
        trio.run(play, given.db, given.act)
        return 0
    path = database(given)
    if path.exists():
        print(f"{path} exists; the story begins with a new store", file=sys.stderr)
        return 2
    well = all(perform(path, act) for act in ACTS)
    world = World(path.with_suffix(".book"))
    charged = sorted(entry["of"] for entry in world.entries("charged"))
    looked = sorted(entry["looked"] for entry in world.entries("looked"))
    print(f"\ncharged: {charged}\nlooked up: {looked}")
    return 0 if well and charged == sorted(PRICES) else 1


def perform(path: Path, act: str) -> bool:
    """Play one act in its own process; whether it ended as it should."""
    print(f"\n{act}", flush=True)
    command = [sys.executable, __file__, "--db", str(path), "--act", act]
    ended = subprocess.run(command, check=False).returncode  # noqa: S603 - this file itself
    if ended == -signal.SIGKILL:
        print("    the process was killed while it shipped")
    return ended == (-signal.SIGKILL if ACTS[act][1] else 0)


if __name__ == "__main__":
    sys.exit(main())
