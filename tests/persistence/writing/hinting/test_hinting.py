"""Giving and hearing hints on a line that is not there: without a server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import final

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Again
from tenure.persistence.engines.listeners import NOWHERE, Hint, HintLine
from tenure.persistence.facets.ownership.requests import FinishRequest
from tenure.persistence.seams.executors import InlineExecutor, ThreadExecutor
from tenure.persistence.writing.hinting.hinting import QUIET_S, Hinting
from tenure.persistence.writing.hinting.pace import GAP_TO_ALL_S, LONGEST_SPARE_S, SPARE_S
from tests.kit.stores import name
from tests.persistence.writing.hinting.test_pace import accept, take

ME = 3


@final
class Line:
    """A line in memory: what is said is noted, and what is heard is what a test says."""

    is_busy = False

    def __init__(self) -> None:
        self._here, self._there = socket.socketpair()
        self._come: list[Hint] = []
        self.said: list[tuple[dict[int, set[str]], set[str] | None]] = []
        self.spared_s = 0.0
        self.is_lost = False
        self.is_closed = False

    def come(self, *hints: Hint) -> None:
        self._come += hints
        self._there.send(b".")

    def lose(self) -> None:
        self.is_lost = True
        self._there.send(b".")

    def fileno(self) -> int:
        return self._here.fileno()

    def say(self, hosts: Mapping[int, Collection[str]], everyone: Collection[str] | None, spare_s: float = 0.0) -> None:
        self.spared_s = spare_s
        self.said.append(({host: set(each) for host, each in hosts.items()}, None if everyone is None else {*everyone}))

    def flush(self) -> bool:
        return False

    def hear(self) -> Sequence[Hint]:
        if self.is_lost:
            raise Again
        self._here.setblocking(False)
        try:
            self._here.recv(100)
        except BlockingIOError:
            return ()
        come, self._come = self._come, []
        return come

    def close(self) -> None:
        self.is_closed = True
        self._here.close()
        self._there.close()


def answer(runtime_id: str) -> Commit:
    change = FinishRequest(runtime_id=name(runtime_id), request_id="r", answer="{}")
    return Commit(runtime_id=name(runtime_id), fence_token=1, changes=(change,))


async def test_who_awaits_what_has_just_come_gets_a_hint_as_does_who_awaited_it_before() -> None:
    line = Line()
    hinting = Hinting(lambda _: line, InlineExecutor, lambda: ME)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hinting.serve)
        await wait_all_tasks_blocked()
        assert not hinting.is_heard
        line.come(Hint(host=7, awaits=["a"]))
        await wait_all_tasks_blocked()
        hinting.landed([answer("a")], NOWHERE)
        await wait_all_tasks_blocked()
        assert line.said == [({7: set()}, None)]

        line.come(Hint(host=8, awaits=["a"]))
        await wait_all_tasks_blocked()
        assert line.said[1:] == [({8: set()}, None)]
        nursery.cancel_scope.cancel()
    assert line.is_closed


async def test_a_host_believes_that_hints_arrive_when_one_of_its_own_has_and_until_its_line_is_lost() -> None:
    lines: list[Line] = []

    def open_line(_: int) -> HintLine:
        lines.append(Line())
        return lines[-1]

    hinting = Hinting(open_line, InlineExecutor, lambda: ME)
    called: list[bool] = []
    hinting.on_hint = lambda: called.append(hinting.is_heard)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hinting.serve)
        await wait_all_tasks_blocked()
        lines[0].come(Hint(host=ME, own=True))
        await wait_all_tasks_blocked()
        assert hinting.is_heard
        lines[0].lose()
        await wait_all_tasks_blocked()
        assert called == [True, False]
        assert lines[0].is_closed
        nursery.cancel_scope.cancel()


async def test_a_silent_line_is_asked_whether_hints_arrive_and_counts_as_lost_where_none_does(
    autojump_clock: MockClock,
) -> None:
    lines: list[Line] = []

    def open_line(_: int) -> HintLine:
        lines.append(Line())
        return lines[-1]

    hinting = Hinting(open_line, InlineExecutor, lambda: ME)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hinting.serve)
        await wait_all_tasks_blocked()
        await trio.sleep(5 * QUIET_S)
        assert [each.said for each in lines] == [[]], "where none has arrived yet the host looks anyway"
        lines[0].come(Hint(host=ME, own=True))
        await wait_all_tasks_blocked()
        assert lines[0].said == [({}, set())]

        await trio.sleep(2.2 * QUIET_S)
        lines[0].come(Hint(host=ME, own=True))
        assert lines[0].said[1:] == [({ME: set()}, None)], "only this host gets one, and it proves the line"
        await trio.sleep(QUIET_S / 2)
        assert not lines[0].is_closed
        await trio.sleep(3 * QUIET_S)
        assert lines[0].is_closed
        assert not hinting.is_heard
        assert len(lines) == 2
        nursery.cancel_scope.cancel()


async def test_a_line_that_opens_when_its_store_has_gone_is_closed() -> None:
    line, goes_on = Line(), threading.Event()

    def open_line(_: int) -> HintLine:
        goes_on.wait()
        return line

    hinting = Hinting(open_line, partial(ThreadExecutor, "tenure-test"), lambda: ME)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hinting.serve)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    goes_on.set()
    with trio.fail_after(60):
        while not line.is_closed:  # noqa: ASYNC110 - a thread closes it
            await trio.sleep(0.01)


async def test_what_no_host_owns_is_said_to_all_unless_its_own_host_has_taken_it_over_shortly_after(
    autojump_clock: MockClock,
) -> None:
    line = Line()
    hinting = Hinting(lambda _: line, InlineExecutor, lambda: ME)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hinting.serve)
        await wait_all_tasks_blocked()
        hinting.landed([accept("mine")], {"mine": None})
        await trio.sleep(GAP_TO_ALL_S / 2)
        hinting.landed([take("mine")], NOWHERE)
        await trio.sleep(1)
        assert line.said == []

        hinting.landed([accept("theirs")], {"theirs": None})
        await trio.sleep(GAP_TO_ALL_S / 2)
        assert line.said == []
        await trio.sleep(1)
        assert line.said == [({}, {"theirs"})]
        nursery.cancel_scope.cancel()
    assert autojump_clock.current_time() > 0


async def test_a_host_that_needs_no_hints_gets_one_at_the_end_of_that_and_what_is_awaited_of_it_goes_along(
    autojump_clock: MockClock,
) -> None:
    line = Line()
    hinting = Hinting(lambda _: line, InlineExecutor, lambda: ME)
    held: list[float] = []
    hinting.on_held_back = lambda: held.append(autojump_clock.current_time())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hinting.serve)
        await wait_all_tasks_blocked()
        hinting.spare(SPARE_S)
        await wait_all_tasks_blocked()
        assert line.said == [({}, set())]
        assert line.spared_s == SPARE_S

        line.come(Hint(host=7, spare_s=100 * LONGEST_SPARE_S))
        await wait_all_tasks_blocked()
        began = autojump_clock.current_time()
        hinting.landed([answer("a"), accept("b"), accept("c")], {"b": 7, "c": 8})
        await trio.sleep(LONGEST_SPARE_S - 0.1)
        assert line.said[1:] == [({8: {"c"}}, None)]
        assert held == [began]
        assert hinting.holds_back
        await trio.sleep(0.2)
        assert line.said[2:] == [({7: {"b"}}, None)]
        assert not hinting.holds_back

        hinting.landed([accept("b")], {"b": 7})
        await trio.sleep(0.1)
        assert line.said[3:] == [({7: {"b"}}, None)]

        line.come(Hint(host=7, spare_s=SPARE_S))
        await wait_all_tasks_blocked()
        hinting.landed([accept("b")], {"b": 7})
        await hinting.say_last()
        assert line.said[4:] == [({7: {"b"}}, None)], "this host goes"
        nursery.cancel_scope.cancel()
