"""The bell of a loop of asyncio: what a lone commit is answered by, in place of what the loop wakes itself with."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import pytest

import tenure.asyncio
from tenure.portals.loop_bell import LoopBell, bell_of
from tests.kit.descriptors import no_descriptor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such descriptors")

COMMITS: Final = 20
PATIENCE_S: Final = 20.0
WHOSE: Final = contextvars.ContextVar("whose", default="nobody's")


class WokenByItself(asyncio.SelectorEventLoop):
    """A loop that counts how often another thread has it called in its own way.

    Attributes:
        times: So often.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def call_soon_threadsafe(self, *arguments: Any, **named: Any) -> asyncio.Handle:
        """As the base."""
        self.times += 1
        return super().call_soon_threadsafe(*arguments, **named)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_answer_of_a_lone_commit_does_not_have_the_loop_read_what_woke_it_after_the_next_verb(
    tmp_path: Path,
) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, WokenByItself)
        async with asyncio.timeout(PATIENCE_S), tenure.asyncio.open_store(tmp_path / "a.db") as store:
            await store.state.write({"turn": b""})
            before = loop.times
            for turn in range(COMMITS):
                await store.state.write({"turn": str(turn).encode()})
            return loop.times - before

    with asyncio.Runner(loop_factory=WokenByItself) as runner:
        assert runner.run(main()) <= COMMITS // 4  # one that finds the writer's task at work goes its way


def test_what_it_is_rung_for_is_called_in_order_in_its_context_and_by_the_loop() -> None:
    called: list[tuple[str, str, int]] = []

    async def main() -> None:
        bell = bell_of(asyncio.get_running_loop())
        assert bell is not None
        assert bell_of(asyncio.get_running_loop()) is bell
        done = asyncio.Event()

        def call(what: str) -> None:
            called.append((what, WHOSE.get(), threading.get_ident()))
            if len(called) == 3:
                done.set()

        def ring() -> None:
            for what in "abc":
                context = contextvars.copy_context()
                context.run(WHOSE.set, f"{what}'s")
                bell.ring(call, what, context=context)

        thread = threading.Thread(target=ring)
        thread.start()
        thread.join()
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()

    asyncio.run(main())
    assert called == [(what, f"{what}'s", threading.get_ident()) for what in "abc"]


def test_what_is_rung_for_is_called_also_where_the_one_before_it_ended_the_loop() -> None:
    called: list[str] = []

    is_called = asyncio.Event()

    def leave(what: str) -> None:
        called.append(what)
        raise SystemExit

    def call(what: str) -> None:
        called.append(what)
        is_called.set()

    async def rung() -> None:
        bell = bell_of(asyncio.get_running_loop())
        assert bell is not None
        bell.ring(leave, "first", context=None)
        bell.ring(call, "second", context=None)
        await asyncio.sleep(PATIENCE_S)

    async def heard() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await is_called.wait()

    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(rung())
        with pytest.raises(SystemExit):
            loop.run_until_complete(task)
        loop.run_until_complete(heard())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    finally:
        loop.close()
    assert called == ["first", "second"]


def test_a_loop_takes_the_descriptor_of_its_bell_along() -> None:
    async def main() -> None:
        assert bell_of(asyncio.get_running_loop()) is not None

    asyncio.run(main())
    gc.collect()
    before = descriptors()
    for _ in range(5):
        asyncio.run(main())
    gc.collect()
    assert descriptors() == before


def test_a_bell_is_rung_for_nothing_when_its_loop_was_closed() -> None:
    async def main() -> LoopBell:
        bell = bell_of(asyncio.get_running_loop())
        assert bell is not None
        return bell

    called: list[str] = []
    asyncio.run(main()).ring(called.append, "late", context=None)
    assert not called


ENDING: Final = """
import atexit
kept = []
atexit.register(lambda: kept[0].ring(print, 0, context=None))  # as the thread that writes may, for it is a daemon
import asyncio
from tenure.portals.loop_bell import bell_of
async def main():
    return asyncio.get_running_loop(), bell_of(asyncio.get_running_loop())
loop, bell = asyncio.run(main())
kept.append(bell)
"""


def test_it_is_rung_while_the_program_ends_and_the_number_is_no_other_file_by_then() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=True)
    assert ended.stderr == ""


def test_a_loop_that_gets_no_descriptor_is_answered_in_its_own_way(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with no_descriptor():
            assert bell_of(loop) is None
        async with asyncio.timeout(PATIENCE_S), tenure.asyncio.open_store(tmp_path / "a.db") as store:
            for turn in range(COMMITS):
                assert await store.state.write({"turn": str(turn).encode()})

    asyncio.run(main())


class OfAnotherKind(asyncio.AbstractEventLoop):
    """A loop that waits in a way of its own."""


def test_a_loop_of_another_kind_has_none() -> None:
    assert bell_of(OfAnotherKind()) is None
