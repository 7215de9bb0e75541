"""``tenure prune``: what has ended goes, host running or not; and ``tenure shrink``: its room goes back to the disk."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import trio

import tenure
from tenure.cli.exits import DONE, NOT_THERE, WRONG_USE
from tests.kit.commands import call


async def keep(run: tenure.Run) -> None:
    run.session.append(run.inputs[0].payload)


async def work(supervisor: tenure.Supervisor, *payloads: str) -> None:
    alice = await supervisor.spawn("alice", "keeper")
    for payload in payloads:
        await (await alice.accept(payload, idempotency_key=payload)).wait_outcome()


def test_what_has_ended_goes_beside_a_running_host_and_the_rest_verifies(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"

    async def main() -> None:
        async with tenure.open_supervisor(path, behaviours={"keeper": keep}) as supervisor:
            await work(supervisor, "one", "two")
            kept = await trio.to_thread.run_sync(partial(call, "prune", path, "--older-than", 1, "--json"))
            assert set(json.loads(kept.stdout).values()) == {0}, kept.stderr
            done = await trio.to_thread.run_sync(partial(call, "vacuum", path, "--older-than", 0, "--json"))
            assert done.exit_code == DONE, done.stderr
            assert json.loads(done.stdout)["runs"] == 2
            await work(supervisor, "two", "three")
            assert await supervisor.read_session("alice") == ["one", "two", "three"], "a key that was pruned ran again"

    trio.run(main)
    verified = call("verify", path, "--json")
    assert verified.exit_code == DONE, verified.stdout
    (alice,) = json.loads(verified.stdout)
    assert (alice["receipts"], alice["pruned"]) == (1, 2)


def test_only_runtimes_of_the_kinds_that_are_named_are_pruned(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"

    async def main() -> None:
        async with tenure.open_supervisor(path, behaviours={"keeper": keep, "other": keep}) as supervisor:
            await work(supervisor, "one", "two")
            await (await supervisor.accept("bob", "three", kind="other")).wait_outcome()

    trio.run(main)
    other = call("prune", path, "--older-than", 0, "--kind", "other", "--kind", "unheard of", "--json")
    assert json.loads(other.stdout)["runs"] == 1, other.stderr
    assert json.loads(call("prune", path, "--older-than", 0, "--json").stdout)["runs"] == 2


def test_a_store_is_shrunk_and_says_by_how_much(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"

    async def main() -> None:
        async with tenure.open_supervisor(path, behaviours={"keeper": keep}) as supervisor:
            await supervisor.accept("bob", "x" * 500_000, kind="nobody has it")
            await supervisor.store.runtimes.persist_runtime_state("bob", "destroyed")
            await supervisor.store.erase("bob")
            await supervisor.accept("bea", "x" * 500_000, kind="nobody has it")
            bea = await supervisor.find("bea")
            await bea.stop()
            await supervisor.store.prune(0, dead_letters=True)

    trio.run(main)
    shrunk = call("shrink", path, "--json")
    assert shrunk.exit_code == DONE, shrunk.stderr
    found = json.loads(shrunk.stdout)
    assert found["written"]
    assert found["after_bytes"] < found["before_bytes"] - 400_000
    assert call("shrink", tmp_path / "none.db").exit_code == NOT_THERE


@pytest.mark.parametrize(
    ("arguments", "code"), [(("--older-than", "1"), NOT_THERE), ((), 2), (("--older-than", "-1"), None)]
)
def test_wrong_calls_are_refused_and_make_no_store(
    tmp_path: Path, arguments: tuple[str, ...], code: int | None
) -> None:
    path = tmp_path / "agents.db"
    if code is None:

        async def make() -> None:
            async with tenure.open_store(path):
                pass

        trio.run(make)

    assert call("vacuum", path, *arguments).exit_code == (WRONG_USE if code is None else code)
    assert path.exists() == (code is None)
