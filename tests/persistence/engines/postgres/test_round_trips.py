"""Round trips to a server, counted: what takes one more is seen here before it is felt on a network."""

from __future__ import annotations

from typing import cast

import trio

import tenure
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.postgres.writer import Writer
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tenure.testing.observing import inside_of, seen
from tests.kit.seen import open_seen_store
from tests.kit.stores import name, own

MANY = 100


def trips(store: Store) -> int:
    return cast("Writer", vars(inside_of(store))["_connection"]).trips


def say(runtime_id: str, token: int) -> Commit:
    append = AppendMessages(runtime_id=name(runtime_id), messages=(b"hi",))
    return Commit(runtime_id=name(runtime_id), fence_token=token, changes=(append,))


async def test_a_commit_alone_takes_two_and_a_hundred_at_once_share_theirs(url: str) -> None:
    async with open_seen_store(url) as store:
        tokens = {f"r-{n}": await own(store, f"r-{n}") for n in range(MANY)}

        async def say_all(rounds: int) -> None:
            for _ in range(rounds):
                async with trio.open_nursery() as nursery:
                    for runtime_id, token in tokens.items():
                        nursery.start_soon(store.commit, say(runtime_id, token))

        await say_all(2)
        before = trips(store)
        for _ in range(10):
            await store.commit(say("r-0", tokens["r-0"]))
        alone = trips(store) - before
        await say_all(1)
        before = trips(store)
        await say_all(5)

        assert alone / 10 <= 3
        assert (trips(store) - before) / (5 * MANY) <= 0.1


async def echo(run: tenure.Run) -> None:
    for each in run.inputs:
        run.session.append(each.payload)


async def test_a_lone_input_takes_at_most_twelve(url: str) -> None:
    async with tenure.open_supervisor(url, behaviours={"echo": echo}, seams=seen(Seams())) as supervisor:
        runtime = await supervisor.spawn("a", "echo")
        await (await runtime.accept("first")).wait_outcome()
        before = trips(supervisor.store)
        for _ in range(20):
            await (await runtime.accept("hi")).wait_outcome()

        assert (trips(supervisor.store) - before) / 20 <= 12


async def test_inputs_of_a_hundred_runtimes_at_once_share_their_questions_too(url: str) -> None:
    async with tenure.open_supervisor(url, behaviours={"echo": echo}, seams=seen(Seams())) as supervisor:
        runtimes = [await supervisor.spawn(f"r-{n}", "echo") for n in range(MANY)]

        async def consume(runtime: tenure.Runtime) -> None:
            await (await runtime.accept("hi", idempotency_key=str(trio.current_time()))).wait_outcome()

        async def consume_all() -> float:
            """Round trips a commit; an input is two of them."""
            before = trips(supervisor.store)
            async with trio.open_nursery() as nursery:
                for runtime in runtimes:
                    nursery.start_soon(consume, runtime)
            return (trips(supervisor.store) - before) / (2 * MANY)

        await consume_all()

        # How many there are in a group is not theirs alone to say: the best of a few.
        assert min([await consume_all() for _ in range(5)]) <= 0.1
