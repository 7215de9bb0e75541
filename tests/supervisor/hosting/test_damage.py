"""A whole host over a damaged store: it opens, blocks the damaged runtime alone, and says why."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tenure.errors import AskFailed, Corrupt, Error, Internal, SchemaMismatch, StoreBroken
from tenure.persistence.engines.engine import NotStorable
from tests.kit import postgres
from tests.kit.hosting import (
    LONGEST_S,
    virtual_seams,
)
from tests.kit.past import write_past
from tests.kit.seen import open_seen_store, open_seen_supervisor
from tests.kit.shares import share
from tests.persistence.contracts.damage import (
    SCHEMA,
    every_junk,
    outcome,
    spoilt,
)
from tests.persistence.contracts.owners.owned import (
    KIND,
    Owner,
    live,
)
from tests.persistence.contracts.owners.test_damage_owned import (
    OTHER_HOST,
    TABLES,
)
from tests.persistence.contracts.test_damage import (
    TABLES as CONTRACT_TABLES,
    fill,
)

Copying = Callable[[Path], AbstractContextManager[None]]
"""Has a copy of the template stand at a path for a while."""

ROUNDS = 2
OF_ONE = {**CONTRACT_TABLES, **TABLES}


async def work(run: tenure.Run) -> None:
    """As `live` recorded it; the peer only listens, and an oracle answers."""
    if run.runtime_id == "peer" or run.runtime_id.endswith("oracle"):
        return
    await run.step("looked", str, repeat="never")
    run.session.append("hello")
    run.session.append("world")
    run.send("peer", "hello")
    run.send("nobody", "hello")
    await run.checkpoint()
    await run.step("paid", str, repeat="never")
    for name in ("in time", "too late"):
        with suppress(AskFailed):
            await run.ask(f"{run.runtime_id} oracle", "question", KIND, correlation_id=name)


async def in_doubt(_doubt: tenure.StepInDoubt) -> tenure.Verdict:
    return tenure.Ran("paid")


LIMITS = tenure.Limits(lease_s=300, renew_s=100, poll_s=50)
"""Virtual hours pass: nobody else is there to be looked at."""

BEHAVIOURS = {KIND: tenure.Behaviour(work, in_doubt=in_doubt)}


_templates: dict[str, str] = {}


@pytest.fixture
def template(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Copying:
    """Two runtimes with a run in flight, and the contract's records of one more: filled once on each engine."""

    async def fill_one(path: Path) -> None:
        async with open_seen_store(path, durability="memory") as store:
            await Owner(store, "peer").own()
            await live(Owner(store, "alice"), Owner(store, "bob"))
            await fill(store, "alice's contract")

    if engine not in _templates:
        path = tmp_path_factory.mktemp("damage") / "template.db"
        trio.run(fill_one, path)
        write(path, OTHER_HOST)
        _templates[engine] = str(path) if engine == "sqlite" else postgres.set_aside(path)
    return partial(copy_of_file if engine == "sqlite" else postgres.leading_to_copy, of=_templates[engine])


@contextmanager
def copy_of_file(path: Path, *, of: str) -> Generator[None]:
    """Meanwhile a copy of a file stands there."""
    shutil.copy(of, path)
    yield
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()


def write(path: Path, sql: str, *parameters: Any) -> None:
    """Write into a store that no host has open. An engine that does not store it there is as good a guard as any."""
    with suppress(NotStorable):
        write_past(path, sql, *parameters)


@contextmanager
def damaged(template: Copying, tmp_path: Path, table: str, column: str, junk: Sequence[Any]) -> Generator[Path]:
    path = tmp_path / "agents.db"
    where = "TRUE"
    if table in OF_ONE:
        name = "alice" if table in TABLES else "alice''s contract"
        alice = f"(SELECT runtime FROM runtimes WHERE runtime_id = '{name}')"
        where = OF_ONE[table].format(alice=alice).replace("talk-alice", "talk-alice''s contract")
    with template(path):
        write(path, f"UPDATE {table} SET {column} = {junk[0]} WHERE {where}", junk[1])
        yield path


def calls(supervisor: tenure.Supervisor) -> dict[str, Callable[[], Awaitable[Any]]]:
    """What a program may ask of the damaged runtime."""

    async def handle() -> tenure.Runtime | tenure.ForeignRuntime:
        return await supervisor.find("alice")

    async def accept() -> Any:
        return await (await handle()).accept({"text": "new"})

    async def use(verb: str, *arguments: Any) -> Any:
        return await getattr(await supervisor.spawn("alice", KIND), verb)(*arguments)

    return {
        "accept": accept,
        "session": partial(supervisor.read_session, "alice"),
        "dead letters": partial(supervisor.dead_letters, "alice"),
        "refused sends": partial(supervisor.refused_sends, "alice"),
        "ticket": partial(supervisor.ticket, "alice", input_id="alice first"),
        "ticket by key": partial(supervisor.ticket, "alice", idempotency_key="key"),
        "spawn": partial(supervisor.spawn, "alice", KIND),
        "retry": partial(use, "retry", "alice dead"),
        "cancel": partial(use, "cancel"),
        "resume": partial(use, "resume"),
        "reset": partial(use, "reset"),
        "destroy": partial(use, "destroy"),
    }


@asynccontextmanager
async def unsynced(path: Path) -> AsyncGenerator[tenure.Supervisor]:
    """A host on virtual time whose disk is not waited for; what hangs fails."""
    with trio.fail_after(LONGEST_S):
        async with open_seen_supervisor(
            path, behaviours=BEHAVIOURS, durability="memory", limits=LIMITS, seams=virtual_seams()
        ) as supervisor:
            yield supervisor


async def typed(supervisor: tenure.Supervisor) -> list[Any]:
    wrong: list[Any] = []
    for name, call in calls(supervisor).items():
        with trio.move_on_after(100):
            answer = await outcome(call)
            if isinstance(answer, Internal | StoreBroken):
                wrong.append((name, answer))
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("table", OF_ONE)
async def test_a_damaged_row_blocks_its_runtime_and_no_other(
    template: Copying, tmp_path: Path, table: str, autojump_clock: trio.abc.Clock
) -> None:
    for column, *junk in share(spoilt(table, random.Random(table), ROUNDS), 32):
        with damaged(template, tmp_path, table, column, junk) as path:
            async with unsynced(path) as supervisor:
                bob = await supervisor.spawn("bob", KIND)
                done = await (await bob.accept({"text": "new"})).wait_outcome()
                assert done.phase == "consumed", (table, column, junk, done)
                await trio.sleep(300)  # whatever is tried again
                wrong = await typed(supervisor)
                assert not wrong, (table, column, junk, wrong)
                assert (await (await bob.accept({"text": "more"})).wait_outcome()).phase == "consumed"


async def test_a_record_of_another_version_blocks_its_runtime_and_stays_as_it_is(
    template: Copying, tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    async def record(supervisor: tenure.Supervisor) -> Any:
        asked = "SELECT record_version, state FROM runtimes WHERE runtime_id = 'alice'"
        async with supervisor.store.read_connection() as connection:
            return await connection.query(asked)

    with damaged(template, tmp_path, "runtimes", "record_version", ("?", 99)) as path:
        async with unsynced(path) as supervisor:
            before = await record(supervisor)
            for verb in (
                partial(supervisor.accept, "alice", {"text": "new"}),
                partial(supervisor.spawn, "alice", KIND),
                partial(supervisor.store.runtimes.persist_runtime_state, "alice", "retired"),
                partial(supervisor.store.runtimes.load_runtime_state, "alice"),
            ):
                with pytest.raises(SchemaMismatch, match="99"):
                    await verb()

            assert await record(supervisor) == before


async def test_a_run_whose_record_has_a_boundary_without_its_receipt_says_so(
    template: Copying, tmp_path: Path, autojump_clock: trio.abc.Clock
) -> None:
    path = tmp_path / "agents.db"
    with template(path):  # whose asks were written without a receipt
        async with unsynced(path) as supervisor:
            await supervisor.spawn("bob", KIND)
            await trio.sleep(300)
            letters = await supervisor.dead_letters("bob")

    missed = "Corrupt: the stored entry 'main/4' is damaged: the receipt of its boundary is missing"
    assert [each.input_id for each in letters if (each.error or "").startswith(missed)] == ["bob one", "bob two"]


@pytest.mark.slow
@pytest.mark.parametrize("table", ["store", "hosts", "oauth_flow"])
async def test_a_damaged_row_of_the_store_is_one_typed_error(
    template: Copying, tmp_path: Path, table: str, autojump_clock: trio.abc.Clock
) -> None:
    every = [(column, *junk) for column in SCHEMA[table] for junk in every_junk(random.Random(column))]
    for column, *junk in share(every, 24):
        with damaged(template, tmp_path, table, column, junk) as path:
            try:
                async with unsynced(path) as supervisor:
                    bob = await supervisor.spawn("bob", KIND)
                    done = await (await bob.accept({"text": "new"})).wait_outcome()
                    assert done.phase == "consumed", (table, column, junk)
            except Corrupt:
                continue
            except Error as exc:
                raise AssertionError((table, column, junk)) from exc
