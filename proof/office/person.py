"""Who looks after an office: approves, steers, ends and erases children, settles doubts, and puts some of it on hold."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from typing import Any, Final, final

import trio

import tenure
from proof.seeded.computer import Host
from proof.seeded.person import end_runtime, find_doubts
from tenure import errors

from .judge import HOLDS, check_files, rows
from .scripts import BY_A_PERSON, LEADS, YES, Word, lead_of
from .world import FRAIL, KINDS, World

EVERY_S: Final = 10.0
"""Mean seconds between two looks."""

HOLD: Final = 0.3
"""Chance of a look to put something on hold."""

FAILED: Final = "budget used up"
"""Why a child is held that needs a person; all else that holds one here is doubt."""

NOTHING: Final = "nothing holds it back"
LOOKS: Final = 12
"""Looks in a row at which a wait must have had a name."""

RACES: Final = 0.2
"""Chance of a look to approve what may be approved too late."""


@final
class Person:
    """One person, at whichever host answers.

    Attributes:
        said: What `why` has said of a lead last.
    """

    def __init__(self, world: World) -> None:
        """Who has not looked yet."""
        self.said = ""
        self._world = world
        self._random = random.Random(f"{world.seed}/person")
        self._counts: Counter[str] = Counter()
        self._unnamed: Counter[str] = Counter()

    def counted(self) -> str:
        """What was seen and done, in words."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self._counts.items()))

    async def look_after(self, host: Host, supervisor: tenure.Supervisor, last: bool) -> None:  # noqa: FBT001
        """Look after the agents for as long as a host answers. At the last one, nothing is put on hold any more."""
        while True:
            await trio.sleep(self._random.expovariate(1 / EVERY_S))
            self._counts["asides"] += len(await rows(host, supervisor, "SELECT 1 FROM asides"))
            if last:
                await self._end_holds(host, supervisor)
            elif self._random.random() < HOLD:
                with suppress(errors.Error):  # it closes
                    await self._hold(supervisor)
            for lead in LEADS:
                with suppress(errors.Error):  # lost, or not there yet
                    await self._look_at(supervisor, lead)
            for word in self._world.words.values():
                with suppress(errors.Error):  # lost, or ended already
                    await self._care(host, supervisor, word)

    # Holds of this person

    async def _hold(self, supervisor: tenure.Supervisor) -> None:
        """Put a runtime, or a kind, on hold for a while."""
        if self._world.on_hold:
            what = self._random.choice(sorted(self._world.on_hold))
            del self._world.on_hold[what]
            await (supervisor.resume(kind=what) if what in KINDS else supervisor.resume(what))
            return
        what = self._random.choice([*KINDS, *LEADS, *sorted(self._world.children.values())])
        await (supervisor.hold(kind=what) if what in KINDS else supervisor.hold(what))
        self._world.on_hold[what] = trio.current_time()
        self._counts["on hold"] += 1

    async def _end_holds(self, host: Host, supervisor: tenure.Supervisor) -> None:
        self._world.on_hold.clear()
        for kind, runtime in await rows(host, supervisor, HOLDS):
            await (supervisor.resume(kind=kind) if runtime is None else supervisor.resume(runtime))

    # What waits

    async def _look_at(self, supervisor: tenure.Supervisor, lead: str) -> None:
        why = await supervisor.why(lead)
        self.said = f"{lead}: {why['because']}"
        waits = why["run"] is not None and NOTHING in why["because"]
        self._unnamed[lead] = self._unnamed[lead] + 1 if waits else 0
        if self._unnamed[lead] > LOOKS:
            self._world.broke(f"{lead} has a run, and why says {why['because']}")
        await self._mend(supervisor, lead, why)

    async def _care(self, host: Host, supervisor: tenure.Supervisor, word: Word) -> None:
        if word.kind == "wait":
            late = word.how == "races" and self._random.random() > RACES
            if word.name in self._world.waiting and word.how != "never comes" and not late:
                await supervisor.accept(
                    lead_of(word.name), YES, lane="steer", correlation_id=word.name, idempotency_key=word.name
                )
            return
        child = self._world.children.get(word.name)
        if child is None:
            return
        why = await supervisor.why(child)
        if await self._mend(supervisor, child, why, word.name):
            return
        if word.how == "fails" and why["state"] == "stopped" and why["unfinished_inputs"]:
            await supervisor.spawn(child, FRAIL)  # its parent has ended before it paid back
        elif word.how == "asks another":
            other = f"{child}'s own"
            await self._mend(supervisor, other, await supervisor.why(other))
        elif word.name in self._world.waiting:
            await self._end(host, supervisor, word, child, why)

    async def _end(
        self, host: Host, supervisor: tenure.Supervisor, word: Word, child: str, why: dict[str, Any]
    ) -> None:
        """Do what the child of a word waits for."""
        found = await supervisor.find(child)
        if word.how == "is steered":
            await supervisor.accept(child, YES, lane="steer", idempotency_key=YES)
        elif word.how == "is erased" and why["state"] == "destroyed":
            if child not in self._world.gone and (await found.erase()).gone:
                self._world.gone.add(child)
                self._counts["erased"] += 1
                check_files(host, self._world)
        elif word.how in BY_A_PERSON and why["run"] is not None:
            # Only while it waits: a reset of a child that its parent's end has stopped would begin its next life.
            await end_runtime(found, word.how)

    # What is held

    async def _mend(self, supervisor: tenure.Supervisor, name: str, why: dict[str, Any], word: str = "") -> bool:
        """Release what needs a person; whether it did."""
        if why["held"] is None:
            return False
        found = await supervisor.find(name)
        doubts = await find_doubts(supervisor, name, self._world.verdict)
        if doubts:
            self._counts["doubts"] += len(doubts)
            await found.settle_step(*doubts[0], *doubts[1:])
        else:
            self._counts["held"] += 1
            if why["held"]["reason"] != FAILED:
                self._world.broke(f"{name} is held: {why['held']}")
            self._world.healed.add(word)
            await found.resume()
        return True
