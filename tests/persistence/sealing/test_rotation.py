"""Two hosts whose keys are rotated while they work, in bad orders too: all goes on, and nothing is done twice."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

import tenure
from tenure.crypto import AesGcm
from tenure.errors import Error
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.verify import verify_runtime
from tests.kit.hosting import virtual_seams
from tests.kit.sealing import ONE, TWO
from tests.kit.shares import share

NAMES: Final = tuple([f"{host} {number}" for host in "ab" for number in range(2)])
ONLY_TWO: Final = {"two": TWO["two"]}
LAST: Final = 5
"""So many keys, one after another."""

LIMITS: Final = tenure.Limits(poll_s=1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


def keys(*numbers: int) -> Mapping[str, bytes]:
    """The first is that of today."""
    return {f"k{number}": bytes([number]) * 32 for number in numbers}


def with_codec(codec: AesGcm) -> tenure.Seams:
    return evolve(virtual_seams(), codec=codec)


@final
class Hosts:
    """Two hosts, each with a codec that the test gives keys, and who was heard."""

    def __init__(self, path: Path, given: Mapping[str, bytes]) -> None:
        self.path = path
        self.codecs = (AesGcm(given), AesGcm(given))
        self.heard = Counter[tuple[str, Any]]()

    async def hear(self, run: tenure.Run) -> None:
        payload = run.inputs[0].payload
        run.session.append(payload)
        run.state.set("last", payload)
        await run.emit(payload)
        found = await run.step("look", str, payload, repeat="freely")
        await run.sleep(2.0)  # what it has recorded is read again by another key
        self.heard[run.runtime_id, found] += 1

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[tuple[tenure.Supervisor, tenure.Supervisor]]:
        async with AsyncExitStack() as stack:
            one, other = [
                await stack.enter_async_context(
                    tenure.open_supervisor(
                        self.path,
                        behaviours={"k": tenure.Behaviour(self.hear, aside_after_s=None)},
                        seams=with_codec(codec),
                        limits=LIMITS,
                        durability="memory",
                    )
                )
                for codec in self.codecs
            ]
            for name in NAMES:
                await (one if name[0] == "a" else other).spawn(name, "k")
            yield one, other

    async def rekey(self, given: Mapping[str, bytes]) -> None:
        async with tenure.open_store(self.path, seams=with_codec(AesGcm(given)), limits=LIMITS) as store:
            while not (rekeyed := await store.rekey()).done:
                pass
            assert not rekeyed.unreadable


async def test_a_runtime_whose_key_comes_to_its_host_later_goes_on_by_itself(
    path: Path, autojump_clock: MockClock
) -> None:
    hosts = Hosts(path, ONE)
    async with hosts.opened() as (one, _):
        hosts.codecs[0].replace_keys(TWO)
        ticket = await one.accept("b 0", "said under the new key")
        await trio.sleep(600)  # its host tries again, and again
        assert not hosts.heard
        hosts.codecs[1].replace_keys(TWO)
        with trio.fail_after(60):
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert hosts.heard == {("b 0", "said under the new key"): 1}


async def test_a_host_that_lost_the_old_key_too_early_goes_on_when_it_is_back(
    path: Path, autojump_clock: MockClock
) -> None:
    hosts = Hosts(path, ONE)
    async with hosts.opened() as (one, _):
        hosts.codecs[1].replace_keys(ONLY_TWO)
        ticket = await one.accept("b 0", "said under the old key")
        await trio.sleep(60)
        assert not hosts.heard
        hosts.codecs[1].replace_keys(TWO)
        with trio.fail_after(60):
            assert (await ticket.wait_outcome()).phase == "consumed"


@final
class Client:
    """Gives one host inputs for all, and keeps what was acknowledged."""

    def __init__(self, number: int, source: random.Random) -> None:
        self.number = number
        self.source = source
        self.tickets: dict[str, tenure.Ticket] = {}
        self.ends = False

    async def give(self, host: tenure.Supervisor) -> None:
        for count in itertools.count():
            if self.ends:
                return
            said = f"{self.number} {count}"
            with suppress(Error):  # not acknowledged: a key of what stands there is missing
                self.tickets[said] = await host.accept(self.source.choice(NAMES), said, idempotency_key=said)
            await trio.sleep(self.source.random() * 4)

    async def wait(self) -> None:
        for said, ticket in self.tickets.items():
            assert (await ticket.wait_outcome()).phase == "consumed", said


async def resume_all(supervisor: tenure.Supervisor) -> None:
    """As a person does, where what a run had recorded could not be read."""
    while held := [line.runtime_id for line in await supervisor.list() if line.held]:
        for name in held:
            await (await supervisor.find(name)).resume()
        await trio.sleep(60)


Order = Callable[[Hosts, random.Random, int], Awaitable[None]]


async def late(hosts: Hosts, source: random.Random, new: int) -> None:
    """One host has the new key before the other."""
    for codec in source.sample(hosts.codecs, 2):
        codec.replace_keys(keys(new, new - 1))
        await trio.sleep(source.random() * 20)


async def early(hosts: Hosts, source: random.Random, new: int) -> None:
    """One host loses the old key before all is sealed anew, and gets it back."""
    for codec in hosts.codecs:
        codec.replace_keys(keys(new, new - 1))
    one = source.choice(hosts.codecs)
    one.replace_keys(keys(new))
    await trio.sleep(source.random() * 20)
    one.replace_keys(keys(new, new - 1))


@pytest.mark.slow
@pytest.mark.parametrize("order", [late, early], ids=lambda order: order.__name__)
@pytest.mark.parametrize("seed", share(range(20), 10))
async def test_hosts_that_work_while_keys_rotate_lose_nothing_and_do_nothing_twice(
    path: Path, autojump_clock: MockClock, order: Order, seed: int
) -> None:
    hosts, source = Hosts(path, keys(1)), random.Random(seed)
    clients = [Client(number, random.Random(f"{seed} {number}")) for number in range(2)]
    async with hosts.opened() as both:
        async with trio.open_nursery() as nursery:
            for client, host in zip(clients, both, strict=True):
                nursery.start_soon(client.give, host)
            for new in range(2, LAST + 1):
                await trio.sleep(5)
                await order(hosts, source, new)
                await hosts.rekey(keys(new, new - 1))
            for client in clients:
                client.ends = True
        for codec in hosts.codecs:
            codec.replace_keys(keys(LAST))  # nothing has another one any more
        with trio.fail_after(3_600):
            await resume_all(both[0])
            for client in clients:
                await client.wait()
    assert {said for client in clients for said in client.tickets} == {said for _, said in hosts.heard}
    assert set(hosts.heard.values()) == {1}
    async with look_into(path, seams=with_codec(AesGcm(keys(LAST)))) as look:
        for name in NAMES:
            verified = await look.read(partial(verify_runtime, runtime_id=LogicalRuntimeId(name)))
            assert verified.is_sound, verified.problems
