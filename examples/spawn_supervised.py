"""Three agents live side by side, and one of them keeps failing.

    python examples/spawn_supervised.py

What to look at:

- `courier` fails while the bridge is out. It is tried again after a pause that doubles; the third failed attempt makes its
  parcel a dead letter, and the next parcel has its turn.
- Its failures are counted on disk. The host is restarted in between, and the count goes on. When the budget of the kind is
  used up, the runtime is held: its inbox still takes parcels, and nothing runs.
- `clerk` and `poet` notice nothing. They have inboxes, runs and failures, each its own.
- Once the bridge is mended, a person calls `resume`, and the courier works off what came in meanwhile.
"""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path
from typing import Final, final

import attrs
import trio
from scratch import database, parser

import tenure

COURIER_RESTARTS: Final = tenure.RestartPolicy(
    max_attempts=3,  # of one parcel; then it is a dead letter
    backoff_s=0.2,  # after the first failure, then 0.4; the defaults are 1 s doubling to 60 s
    jitter=0.0,  # so that the story shows the doubling; leave it on where many fail at once
    budget=4,  # failures of the runtime in a period; then it is held
)
FIRST_HOST_FAILURES: Final = 2


@final
@attrs.define(slots=True, kw_only=True)
class World:
    """What lies outside of the agents: a bridge, and a clock for the story."""

    bridge: bool = False
    failures: int = 0
    failed_at: float = 0.0
    restart_due: trio.Event = attrs.field(factory=trio.Event)


# --- The three behaviours -------------------------------------------------------------------------


async def clerk(run: tenure.Run) -> None:
    """Add up an invoice."""
    for entry in run.inputs:
        run.session.append({"sum": sum(entry.payload)})


async def poet(run: tenure.Run) -> None:
    """Write a line, with a tool."""
    for entry in run.inputs:
        run.session.append(await run.step("rhyme", rhyme, entry.payload, repeat="freely"))


def rhyme(word: str) -> str:
    """Stand in for a model."""
    return f"{word}, absurd"


async def courier(run: tenure.Run, *, world: World) -> None:
    """Carry a parcel over the bridge."""
    for entry in run.inputs:
        paused = f", {time.monotonic() - world.failed_at:.1f} s after the last" if run.attempts else ""
        print(f"  courier: parcel {entry.payload}, attempt {run.attempts + 1}{paused}")
        if not world.bridge:
            world.failures += 1
            world.failed_at = time.monotonic()
            if world.failures == FIRST_HOST_FAILURES:
                world.restart_due.set()
            raise ConnectionError("the bridge is out")
        run.session.append({"delivered": entry.payload})


# --- The story ------------------------------------------------------------------------------------


async def host(path: Path) -> bool:
    """Play the story; True when it went as it should."""
    world = World()
    behaviours = {
        "clerk": clerk,
        "poet": poet,
        "courier": tenure.Behaviour(functools.partial(courier, world=world), restart=COURIER_RESTARTS),
    }

    print("\nThe first host, and a bridge that is out.")
    async with tenure.open_supervisor(path, behaviours=behaviours) as supervisor:
        runtime = await supervisor.spawn("courier", "courier")
        for parcel in (1, 2):
            await runtime.accept(parcel, idempotency_key=f"parcel-{parcel}")
        await work_of_siblings(supervisor)
        await world.restart_due.wait()

    print("\nThe host is restarted. Pause and count of failures were on disk.")
    async with tenure.open_supervisor(path, behaviours=behaviours) as supervisor:
        runtime = await supervisor.spawn("courier", "courier")
        first = await (await supervisor.ticket("courier", idempotency_key="parcel-1")).wait_outcome()
        error = (first.error or "").partition("\n")[0]  # after it stands where it was raised
        print(f"  parcel 1: {first.phase}, {first.reason}; last error: {error}")
        print(f"  courier is held: {await runtime.wait_held()} ({runtime.held_detail})")
        ticket = await runtime.accept(3, idempotency_key="parcel-3")
        print("  parcel 3 is accepted all the same, and on disk")
        await work_of_siblings(supervisor)
        held = supervisor.statistics().held
        print(f"  runtimes: {supervisor.statistics().runtimes}, held: {held}")

        print("\nThe bridge is mended; a person resumes the courier.")
        world.bridge = True
        await runtime.resume()
        last = await ticket.wait_outcome()
        print(f"  parcel 3: {last.phase}")
        letters = await supervisor.dead_letters("courier")
        print(f"  dead letters: {[(letter.payload.decode(), letter.reason, letter.attempts) for letter in letters]}")
        sessions = {name: await supervisor.read_session(name) for name in ("courier", "clerk", "poet")}
    for name, session in sessions.items():
        print(f"  {name}: {session}")
    return held == 1 and len(letters) == 1 and sessions["courier"] == [{"delivered": 2}, {"delivered": 3}]


async def work_of_siblings(supervisor: tenure.Supervisor) -> None:
    """Give the others something to do, and wait until it is done: they do not wait for the courier."""
    for name, payload in (("clerk", [3, 4]), ("poet", "bird")):
        ticket = await (await supervisor.spawn(name, name)).accept(payload)
        print(f"  {name}: {(await ticket.wait_outcome()).phase}")


def main() -> int:
    """Play the story on its own store; 0 when it went as it should."""
    path = database(parser(__doc__).parse_args())
    if path.exists():
        print(f"{path} exists; the story begins with a new store", file=sys.stderr)
        return 2
    return 0 if trio.run(host, path) else 1


if __name__ == "__main__":
    sys.exit(main())
