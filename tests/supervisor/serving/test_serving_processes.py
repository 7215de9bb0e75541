"""Three processes serve one queue and are killed: the order of each session and the rate hold, and all of it is done.

On a file a process that died is known to be dead; on a server its claims are taken over when they have stood still for a lease.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
import trio

import tenure
from tests.kit import postgres
from tests.kit.serving import draft, put

ROOT = Path(__file__).parents[3]
HOST = ROOT / "tests" / "kit" / "serving_host.py"
SESSIONS = 6
EACH = 5
STARTS, PER_S = 5, 1.0
KILLS = 4
LEASES_S = {"file": 15.0, "server": 2.0}


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[tuple[str, float]]:
    """Where the queue is, and the lease of its hosts."""
    lease_s = LEASES_S[request.param]
    if request.param == "file":
        yield str(tmp_path / "a.db"), lease_s
        return
    postgres.needs_server()
    url = postgres.new_database()
    yield url, lease_s
    postgres.drop([postgres.name_of(url)])


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
async def test_processes_that_are_killed_keep_the_order_and_the_rate_and_do_all_of_it(place: tuple[str, float]) -> None:
    source, (target, lease_s) = random.Random(14), place
    said: list[str] = []

    async def start() -> trio.Process:
        command = [sys.executable, str(HOST), target, "0.05", str(STARTS), str(PER_S), str(lease_s)]
        return await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
        )

    async def read(process: trio.Process) -> None:
        assert process.stdout is not None
        text = b""
        async for part in process.stdout:
            text += part
            *lines, text = text.split(b"\n")
            said.extend(line.decode() for line in lines)

    async with tenure.open_store(target) as store:
        for n in range(SESSIONS):
            await put(store, *[draft(f"w{n}.{place}", session=f"w{n}") for place in range(EACH)])
        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                hosts = [await start() for _ in range(3)]
                try:
                    for host in hosts:
                        nursery.start_soon(read, host)
                    for _ in range(KILLS):
                        await trio.sleep(0.5 + source.random())
                        killed = hosts.pop(source.randrange(3))
                        killed.kill()
                        await killed.wait()
                        hosts.append(await start())
                        nursery.start_soon(read, hosts[-1])
                    for n in range(SESSIONS):
                        await emptied(store, f"w{n}")
                finally:
                    for host in hosts:
                        host.kill()
                        await host.wait()

    done = {line.split()[1] for line in said if line.startswith("done ")}
    begun = sorted(
        [(int(at_ms), text) for what, text, *rest in map(str.split, said) if what == "began" for at_ms in rest]
    )
    assert done <= {text for _, text in begun}
    assert len({text for _, text in begun}) == SESSIONS * EACH
    assert len(begun) - SESSIONS * EACH <= KILLS * 8, "only what a killed host had in work is begun again"
    for n in range(SESSIONS):
        places = [text for _, text in begun if text.startswith(f"w{n}.")]
        assert places == sorted(places), "one piece of a session after the other"
    gaps = [later - at for (at, _), (later, _) in zip(begun, begun[STARTS:], strict=False)]
    assert min(gaps) >= PER_S * 1000, gaps


async def emptied(store: tenure.Store, session: str) -> None:
    """Wait until a session has no work left."""
    while await store.queue.list_queued_work(session):  # noqa: ASYNC110 - other processes do it, and ring nothing here
        await trio.sleep(0.1)
