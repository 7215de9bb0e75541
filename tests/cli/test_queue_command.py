"""``tenure queue``: where each batch stands, beside a host and without one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tests.cli.test_verb_commands import beside
from tests.kit.serving import draft, failed, put, served

IDLE = tenure.QueuedWorkClaimBoundary.IDLE


async def fails(work: tenure.QueuedWork) -> None:
    if work.session_id == "dead":
        raise ValueError("no")
    raise OSError("not now")


def test_it_lists_where_each_batch_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def main() -> None:
        with trio.fail_after(60):
            async with tenure.open_supervisor(path, behaviours={}) as supervisor:
                store = supervisor.store
                await put(store, draft("a"), draft("b", key="k"), draft("later", at_ms=2**51))
                assert await store.queue.claim_ready_queued_work("s", "ann", IDLE, 60_000, 1) is not None
                await put(store, draft("x", session="dead"), draft("y", session="again"))
                async with trio.open_nursery() as nursery:
                    for session, attempts in (("dead", 1), ("again", 2)):
                        restart = tenure.RestartPolicy(
                            max_attempts=attempts, backoff_s=3_600.0, backoff_limit_s=3_600.0
                        )
                        nursery.start_soon(partial(supervisor.serve_queue, [session], fails, restart=restart))
                    await served(supervisor, "dead")
                    await failed(supervisor, "again")
                    nursery.cancel_scope.cancel()
                found: list[dict[str, Any]] = await beside("queue", path)
                of_session: list[dict[str, Any]] = await beside("queue", path, "s")
            left: list[dict[str, Any]] = await beside("queue", path, "s")

            standing = {(line["session_id"], line["batch_id"]): line["standing"] for line in found}
            assert standing == {
                ("s", "qwb:1"): "claimed",
                ("s", "qwb:2"): "ready",
                ("s", "qwb:3"): "delayed",
                ("dead", "qwb:4"): "dead",
                ("again", "qwb:5"): "retrying",
            }
            claimed, ready, delayed, dead, retrying = found
            assert claimed["owner"] == "ann"
            assert claimed["claimed_since"] == pytest.approx(claimed["enqueued_at"], abs=60.0)
            assert (ready["source_key"], ready["owner"]) == ("k", None)
            assert delayed["waits_until"] == 2**51 / 1000
            assert (dead["attempts"], dead["error"], dead["waits_until"]) == (1, "ValueError: no", None)
            assert retrying["waits_until"] > retrying["enqueued_at"] + 2_000
            assert of_session == found[:3]
            assert left[0]["standing"] == "left", "its host was closed"

    trio.run(main)
