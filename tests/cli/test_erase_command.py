"""``tenure erase``: a dry listing first, then everything goes."""

from __future__ import annotations

import json
from pathlib import Path

import trio
from click.testing import CliRunner, Result

import tenure
from tenure.cli.app import app
from tenure.cli.exits import DONE, NOT_THERE, REFUSED


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in (*arguments, "--json")])


async def keep(run: tenure.Run) -> None:
    run.session.append(run.inputs[0].payload)


def test_it_lists_what_would_go_and_erases_with_yes(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"

    async def main() -> None:
        async with tenure.open_supervisor(path, behaviours={"keeper": keep}) as supervisor:
            for name in ("alice", "bob"):
                await (await supervisor.accept(name, "unforgettable", kind="keeper")).wait_outcome()

    trio.run(main)
    listed = call("erase", path, "alice")
    assert listed.exit_code == DONE, listed.stderr
    assert json.loads(listed.stdout)["counts"] == {"sessions": 1, "nodes": 1, "inputs": 1, "runs": 1, "receipts": 1}
    assert call("erase", path, "nobody").exit_code == NOT_THERE
    assert call("erase", path, "alice", "--yes").exit_code == REFUSED, "it is not destroyed"

    destroyed = call("destroy", path, "bob", "--yes")
    assert destroyed.exit_code == DONE, destroyed.stderr
    erased = call("erase", path, "bob", "--yes")
    assert erased.exit_code == DONE, erased.stderr
    assert json.loads(erased.stdout)["gone"] is True
    both = call("destroy", path, "alice", "--erase", "--peers", "--yes")
    assert both.exit_code == DONE, both.stderr
    assert json.loads(both.stdout)["answer"]["gone"] is True, both.stdout
    assert b"unforgettable" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())
    verified = {line["runtime_id"]: line for line in json.loads(call("verify", path).stdout) if line["runtime_id"]}
    assert verified["alice"]["erased"] is verified["alice"]["sound"] is True
