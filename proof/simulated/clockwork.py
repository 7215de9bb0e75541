"""Agents that work by schedules over every death of their host: the simulation of schedules.

Clients make schedules, change them and pause them, and ask again until they are answered. In the end each instant stands once
in the story of its schedule, with the one input that it became or the reason it was skipped, and each of these inputs was done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, final

import tenure
from tenure.errors import NotFound
from tenure.persistence.model.timetable import following
from tenure.testing.simulation import Client, Simulation
from tenure.testing.simulation.model import expect

SCHEDULES: Final[dict[str, tuple[tenure.Cron | tenure.Every, dict[str, Any]]]] = {
    "quick": (tenure.Every(45), {"overlap": "queue", "catch_up": "all"}),
    "lone": (tenure.Every(100), {"overlap": "skip", "catch_up": "latest"}),
    "night": (
        tenure.Cron("*/3 * * * *", timezone="Europe/Berlin"),
        {"overlap": "queue", "catch_up": "none", "jitter_s": 20},
    ),
}

MOST: Final = 1_000
"""Occurrences that the check reads of one schedule."""


async def create_all(host: tenure.Supervisor, *, payload: str = "first") -> None:
    """Say what the schedules are, as a program does at its start: what is there with another payload gets this one."""
    for name, (when, terms) in SCHEDULES.items():
        agent = f"agent {name}"
        await host.schedules.create(name, agent, when, payload, "worker", **terms, replace_existing=True)


async def work(run: tenure.Run) -> None:
    """Do what a schedule asks for, and write down for which instant."""
    for given in run.inputs:
        await run.step("work", _worked, repeat="freely")
        run.session.append([given.input_id, given.source["schedule_id"], given.source["scheduled_at"]])


def _worked() -> None:
    """It takes no time."""


@final
class Clockwork:
    """Those who make the schedules and deploy others, and what must have come of them. Outlives every host."""

    async def __call__(self, client: Client) -> None:
        """Make them; then pause, resume, trigger and deploy them, until the time is up."""
        await client.ask("create them", create_all)
        while not client.over:
            await client.sleep(client.random.expovariate(1 / 120))
            name = client.random.choice(list(SCHEDULES))
            verb = client.random.choice(("pause", "resume", "resume", "trigger", "deploy"))
            if verb == "deploy":
                payload = f"deploy {client.random.random()}"
                await client.ask("deploy", partial(create_all, payload=payload))
            else:
                await client.ask(f"{verb} {name}", partial(_verb, name=name, verb=verb))

    async def check(self, client: Client) -> None:
        """Each instant stands once; each input that one became is there, and was done once."""
        for name in SCHEDULES:
            await client.ask(f"what came of {name}", partial(story_of, name=name))


async def _verb(host: tenure.Supervisor, *, name: str, verb: str) -> None:
    await getattr(host.schedules, verb)(name)


async def story_of(host: tenure.Supervisor, *, name: str) -> Sequence[tenure.Occurrence]:
    """What became of the instants of a schedule. Raises where one stands twice or not at all, or was not done once."""
    schedule = await host.schedules.get(name)
    decided = await host.schedules.occurrences(name, limit=MOST)
    expect(0 < len(decided) < MOST, f"{name} has {len(decided)} occurrences")
    # It goes on meanwhile: what was decided after the schedule was read stands for itself.
    found = [each for each in decided if each.triggered or each.scheduled_at < (schedule.next_at or 0)]
    stood = Counter[float]()
    for each in found:
        expect(
            (each.input_id is None) == (each.skipped is not None), f"{each} of {name} is neither an input nor skipped"
        )
        if not each.triggered:
            stood.update(_instants(schedule.when, each.scheduled_at, each.through or each.scheduled_at))
    expect(schedule.next_at is not None, f"{name} has no next instant")
    expect(bool(stood), f"of {name} an instant stands twice or not at all: none was decided")
    every = _instants(schedule.when, min(stood), (schedule.next_at or 0) - 1)
    apart = {at: stood[at] for at in {*stood, *every} if stood[at] != 1 or at not in every}
    expect(not apart, f"of {name} an instant stands twice or not at all: {apart} of those before {schedule.next_at}")
    for each in found:
        if each.input_id is not None:
            outcome = await (await host.ticket(schedule.runtime_id, input_id=each.input_id)).wait_outcome()
            expect(outcome.phase == "consumed", f"the input of {each.scheduled_at} of {name} is {outcome.phase}")
    told = Counter(message[0] for message in await _said(host, schedule.runtime_id))
    given = {each.input_id for each in found if each.input_id is not None}
    later = {each.input_id for each in await host.schedules.occurrences(name, limit=MOST)}  # it goes on meanwhile
    expect(given <= set(told), f"inputs of {name} were not done: {given - set(told)}")
    expect(set(told) <= later, f"what {name} had done stands in no row: {set(told) - later}")
    expect(all(count == 1 for count in told.values()), f"inputs of {name} were done twice")
    return found


async def _said(host: tenure.Supervisor, runtime_id: str) -> list[Any]:
    try:
        return await host.read_session(runtime_id)
    except NotFound:
        return []  # all of its instants were skipped so far: no input has made it


def _instants(when: tenure.Cron | tenure.Every, first: float, last: float) -> list[float]:
    found, at = [first], following(when, first)
    while at is not None and at <= last:
        found.append(at)
        at = following(when, at)
    return found


def clockwork(_seed: int, hours: float = 0.5) -> Simulation:
    """The simulation of schedules for one seed."""
    clock = Clockwork()
    patient = tenure.RestartPolicy(max_attempts=9, budget=10_000)
    return Simulation(
        behaviours={"worker": tenure.Behaviour(work, restart=patient)},
        workload=clock,
        check=clock.check,
        hours=hours,
    )
