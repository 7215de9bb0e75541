"""``tenure promote``: what it says, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import trio

from tenure.cli.exits import BUSY, DONE, NOT_THERE, REFUSED
from tenure.persistence.opening import open_store
from tests.kit.commands import call


def test_a_promotion_says_what_went_where_and_can_be_called_again(path: Path) -> None:
    target = path.with_name("b.db")

    first, again = (call("promote", path, target, "--json") for _ in range(2))

    assert (first.exit_code, again.exit_code) == (DONE, DONE)
    facts = json.loads(first.stdout)
    assert (facts["source"], facts["target"]) == (str(path), str(target))
    assert facts["rows"] == {"hosts": 1, "inputs": 1, "payloads": 1, "runtimes": 1, "sessions": 1, "store": 1}
    assert facts["last_fence_token"] == 2**32 + 1
    assert json.loads(again.stdout) == {**facts, "was_done": True}


def test_a_promotion_for_people_is_a_table(path: Path) -> None:
    result = call("promote", path, path.with_name("b.db"))

    assert result.exit_code == DONE
    assert "last fence token" in result.stdout
    assert result.stderr == ""


def test_a_store_that_is_gone_is_refused_and_shown(path: Path) -> None:
    target = path.with_name("b.db")
    call("promote", path, target)

    refused = call("promote", path, path.with_name("c.db"))
    accepted = call("accept", path, "a", '"hello"')

    for each in (refused, accepted):
        assert each.exit_code == REFUSED
        assert each.stderr.startswith("tenure: StorePromoted: ")
        assert str(target) in each.stderr
    assert call("list", path).exit_code == DONE
    assert call("verify", path).exit_code == DONE


async def test_a_host_keeps_the_source(path: Path) -> None:
    async with open_store(path):
        result = await trio.to_thread.run_sync(call, "promote", path, path.with_name("b.db"))

    assert result.exit_code == BUSY


def test_a_source_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert call("promote", tmp_path / "none.db", tmp_path / "b.db").exit_code == NOT_THERE
    assert not [*tmp_path.iterdir()]
