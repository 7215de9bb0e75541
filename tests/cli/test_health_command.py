"""``tenure health``: exit code 0 where every host commits and there is room; else 1, with what is wrong."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner

import tenure
from tenure.cli.app import app
from tenure.cli.exits import DONE, NOT_THERE, REFUSED
from tests.kit.hosting import Gate

PATIENCE_S = "120"


def call(*arguments: object) -> tuple[int, Any]:
    result = CliRunner().invoke(app, ["health", *(str(each) for each in arguments), "--json"])
    return result.exit_code, json.loads(result.stdout or result.stderr)


async def nothing(_: tenure.Run) -> None:
    pass


async def test_a_host_that_commits_is_well_and_one_that_does_not_is_named(tmp_path: Path) -> None:
    store, gate = tmp_path / "s.db", Gate()
    seams = tenure.Seams(writer_executor=lambda: gate)
    limits = tenure.Limits(renew_s=0.1, lease_s=600)
    async with tenure.open_supervisor(
        store, behaviours={"kind": nothing}, seams=seams, limits=limits, drain_s=0
    ) as supervisor:
        await supervisor.spawn("alice", "kind")
        code, well = await trio.to_thread.run_sync(call, store, "--wait", PATIENCE_S)
        gate.shut()
        silent_code, silent = await trio.to_thread.run_sync(call, store, "--wait", "0.5")
        full = partial(call, store, "--wait", "0", "--min-free-bytes", 2**62)
        full_code, no_room = await trio.to_thread.run_sync(full)
        gate.open()

    assert (code, well["ready"], well["problems"]) == (DONE, True, [])
    (line,) = well["hosts"]
    assert (line["incarnation"], line["runtimes"], line["writes"]) == (supervisor.store.incarnation, 1, True)
    assert (silent_code, silent["problems"]) == (
        REFUSED,
        [f"host {supervisor.store.incarnation} has committed nothing for 0.5 s"],
    )
    assert full_code == REFUSED
    assert no_room["problems"][-1].startswith("disk nearly full: ")


async def test_a_store_that_no_host_has_open_is_not_well(tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "s.db"):
        pass

    code, answer = await trio.to_thread.run_sync(call, tmp_path / "s.db")
    assert (code, answer["problems"], answer["hosts"]) == (REFUSED, ["no host has it open"], [])


@pytest.mark.parametrize("name", ["absent.db"])
def test_a_store_that_is_not_there_is_said_so(tmp_path: Path, name: str) -> None:
    assert call(tmp_path / name)[0] == NOT_THERE
