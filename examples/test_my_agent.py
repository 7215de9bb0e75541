"""How to test an agent of your own against everything that can go wrong.

    pytest examples/test_my_agent.py
    python -m proof.simulate --of examples.test_my_agent:shop --seeds 1000

The agent is a clerk. For each order it reserves the goods (a `keyed` step: the warehouse knows a key that it has seen),
charges the card (a `never` step: the bank does not, and after a crash it is asked) and sends the parcel to the dispatcher,
who keeps the list. Two tests: whole lives of the shop from seeds, and crashes of one short scene, anywhere in it. Both check
what matters to the shop: no customer is charged twice, each who was charged gets one parcel, and no order that was
acknowledged is forgotten.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import trio

import tenure
from tenure.testing import Client, Given, History, Machine, PowerCut, Simulation, Witness

ORDERS = 40
CUSTOMERS = ("ann", "ben", "cat")


class World:
    """What is outside the shop and does not die with it: a warehouse, a bank, and how they fail."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.reserved: dict[str, int] = {}
        self.charges: Counter[int] = Counter()

    async def reserve(self, order: int, key: str) -> str:
        """The warehouse: a key that it knows reserves nothing more."""
        await trio.sleep(self.random.uniform(0, 2))
        if self.random.random() < 0.1:
            raise ConnectionError("the warehouse does not answer")
        self.reserved.setdefault(key, order)
        return f"shelf {order}"

    async def charge(self, order: int) -> str:
        """The bank: asked twice, it charges twice."""
        await trio.sleep(self.random.uniform(0, 2))
        self.charges[order] += 1
        await trio.sleep(self.random.uniform(0, 2))  # the answer is on its way: a crash comes gladly here
        return f"charge of order {order}"

    async def was_charged(self, doubt: tenure.StepInDoubt) -> tenure.Verdict:
        """After a crash, look at the account before anything is charged again."""
        (order,) = doubt.arguments
        return tenure.Ran(f"charge of order {order}") if self.charges[order] else tenure.DidNotRun()


def behaviours(world: World) -> dict[str, tenure.Behaviour]:
    """The agents under test, as they are in the shop."""

    async def clerk(run: tenure.Run) -> None:
        for given in run.inputs:
            order: int = given.payload["order"]
            shelf = await run.step("reserve", world.reserve, order, repeat="keyed")
            await run.step("charge", world.charge, order, repeat="never")
            run.session.append({"order": order, "shelf": shelf})
            run.send("dispatcher", order)

    async def dispatcher(run: tenure.Run) -> None:
        for given in run.inputs:
            run.session.append(given.payload)

    patient = tenure.RestartPolicy(max_attempts=20, budget=1_000, max_crashes=100)
    return {
        "clerk": tenure.Behaviour(clerk, restart=patient, in_doubt=world.was_charged),
        "dispatcher": tenure.Behaviour(dispatcher, batch=10, restart=patient),
    }


# Whole lives


def shop(seed: int) -> Simulation:
    """The shop for one seed, with its own world."""
    world = World(seed)

    async def workload(client: Client) -> None:
        await client.spawn("dispatcher", "dispatcher")
        for customer in CUSTOMERS:
            await client.spawn(customer, "clerk")
        given: list[Given] = []
        for order in range(ORDERS):
            await client.sleep(client.random.expovariate(1 / 40))
            given.append(await client.accept(client.random.choice(CUSTOMERS), {"order": order}))
        for each in given:
            assert (await client.outcome(each)).phase == "consumed"

    async def check(client: Client) -> None:
        async def parcels(supervisor: tenure.Supervisor) -> list[Any]:
            return await supervisor.read_session("dispatcher")

        assert sorted(await client.ask("parcels", parcels)) == list(range(ORDERS))
        assert world.charges == Counter(range(ORDERS))
        assert sorted(world.reserved.values()) == list(range(ORDERS))

    return Simulation(behaviours=behaviours(world), workload=workload, check=check, hours=0.5)


@pytest.mark.parametrize("seed", range(2))
def test_the_shop_lives_through_whatever_a_seed_brings(seed: int) -> None:
    shop(seed).run(seed)


# One scene, cut off everywhere


async def open_scene(machine: Machine, witness: Witness) -> None:
    """Two orders come in and are worked off."""
    world = World(0)
    real = world.charge

    async def charge(order: int) -> str:
        witness.attempted("charge", order)  # the bank outlives the machine: a check must know what it had done by then
        return await real(order)

    world.charge = charge  # type: ignore[method-assign]
    seams = machine.seams()
    async with tenure.open_supervisor(machine.path(), behaviours=behaviours(world), seams=seams) as supervisor:
        await supervisor.spawn("dispatcher", "dispatcher")
        clerk = await supervisor.spawn("ann", "clerk")
        for order in range(2):
            ticket = await clerk.accept({"order": order}, idempotency_key=f"order-{order}")
            witness.acknowledged("order", order)
            await ticket.wait_outcome()


async def reopen(machine: Machine, history: History) -> None:
    """The shop opens again: every acknowledged order is charged once in all, and its parcel sent."""
    world = World(1)
    world.charges.update(history.attempted("charge"))
    promised = history.acknowledged("order")
    seams = machine.seams()
    async with tenure.open_supervisor(machine.path(), behaviours=behaviours(world), seams=seams) as supervisor:
        dispatcher = await supervisor.spawn("dispatcher", "dispatcher")
        await supervisor.spawn("ann", "clerk")
        for order in promised:
            ticket = await supervisor.ticket("ann", idempotency_key=f"order-{order}")
            assert (await ticket.wait_outcome()).phase == "consumed"
        last = await dispatcher.accept("last")  # after all parcels
        await last.wait_outcome()
        parcels = (await supervisor.read_session("dispatcher"))[:-1]
        assert set(promised) <= set(parcels)
        assert len(parcels) == len(set(parcels))
        assert max(world.charges.values(), default=0) <= 1
        assert set(parcels) <= set(world.charges)


def test_no_crash_of_the_scene_costs_a_customer_anything() -> None:
    report = PowerCut(scenario=open_scene, check=reopen, budget=60).run()

    assert report.images == 60
