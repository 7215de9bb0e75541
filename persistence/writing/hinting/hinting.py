"""Hints to other hosts after what was committed, and those that they give to this one.

Theory of operation. When a group has landed, and its callers have their answers, it is noted whom it concerns (`concerns`). A
task says so on a line, at most once each `GAP_S` to one host (`pace`); the line hears what others say to this host.
All of it is in the loop: no thread stands by, and what is sent is never waited for by anyone.

A host that hints make look too often looks as often as without (`supervisor/fleet/next_look.py`): it says so, and is
spared them for a while. Who awaits something of it looks as often meanwhile.

A hint is never the truth. Where the line is lost it is opened again, and meanwhile the host looks as often as without hints
(`is_heard`): so a server, or what stands before it, that passes none on costs nothing but looks. On a line that is silent for
`QUIET_S` the host gives itself a hint: it finds a line that has died in silence, and one that the server has forgotten, as it
wakes no session for notifications that did not land, though their room is free only once each has read them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Final, final

import trio

from tenure.errors import Error
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Again, UnknownOutcome
from tenure.persistence.engines.listeners import Elsewhere, Hint, HintLine, OpenLine
from tenure.persistence.seams.executors import Executor
from tenure.persistence.seams.lines import Unheard
from tenure.persistence.seams.nursery import together

from .awaiting import Awaiting
from .concerns import concerned
from .pace import ALL, GAP_TO_ALL_S, LONGEST_SPARE_S, MOST_AWAITED, Pace

SHORTEST_S: Final = 0.25
"""Seconds until a line that was lost is opened again; they double up to `LONGEST_S`."""

LONGEST_S: Final = 5.0

MISSED: Final = 7
"""Tries in a row that open no line, after which operators hear of it: a server that starts again takes less."""

QUIET_S: Final = 30.0
"""Seconds without any hint after which a host asks whether they still arrive; after as many more its line counts as lost."""

LAST_S: Final = 0.5
"""Most seconds that a host that closes waits until its last hints are given."""


@final
class _Opening:
    """Opens a line on an executor; one that comes when its caller has gone is closed there."""

    def __init__(self, open_line: OpenLine, host: int) -> None:
        self._open_line = open_line
        self._host = host
        self._turn = threading.Lock()
        self._line: HintLine | None = None
        self._abandoned = False

    def open(self) -> HintLine:
        line = self._open_line(self._host)
        with self._turn:
            self._line = line
            if self._abandoned:
                line.close()
        return line

    def abandon(self) -> None:
        with self._turn:
            self._abandoned = True
            if self._line is not None:
                self._line.close()


@final
class Hinting:
    """Gives hints and hears them.

    Attributes:
        is_heard: Whether hints arrive here: a hint that it gave itself has come back on its line.
        listens_as: Key of the row of this host under which the line was opened last.
        on_hint: Called with each hint that has come from another host, and where `is_heard` changes. It may not raise.
        on_held_back: Called where `holds_back` may have come true. It may not raise.
    """

    def __init__(
        self, open_line: OpenLine | None, make_executor: Callable[[], Executor], host: Callable[[], int]
    ) -> None:
        """Open nothing yet; without `open_line` nothing is ever done. `host` is the key of the row of this host."""
        self.is_heard = False
        self.on_hint: Callable[[], None] = _nothing
        self.on_held_back: Callable[[], None] = _nothing
        self._open_line = open_line
        self._make_executor = make_executor
        self._host = host
        self._pace = Pace()
        self._awaiting = Awaiting()
        self._ownerless: set[str] = set()
        self._spare_until = -math.inf
        self._use = trio.CancelScope()
        self.listens_as: int | None = None
        self._stirred = trio.Event()
        self._said = trio.Event()
        self._hints = 0  # how many have come
        self._missed = 0  # tries in a row that opened no line
        self._unheard = Unheard("the line that hears other hosts")

    @property
    def gives(self) -> bool:
        """Whether there is a line at all."""
        return self._open_line is not None

    @property
    def holds_back(self) -> bool:
        """Whether this host awaits something of one that has not heard of it, for that one needs no hints now."""
        return self._pace.holds_back

    def spare(self, seconds: float) -> None:
        """Have others give this host no hints for so long, `LONGEST_SPARE_S` at most: it looks as often as without."""
        self._spare_until = trio.current_time() + seconds
        self._pace.ask(ALL)
        self._stirred.set()

    def landed(self, commits: Sequence[Commit], elsewhere: Elsewhere) -> None:
        """These have landed in one group, and their callers have their answers."""
        now = trio.current_time()
        found = concerned(commits, elsewhere)
        for owner, awaited in found.owners.items():
            self._pace.ask(owner, awaited)
        for host in self._awaiting.hosts(found.answered, now):
            self._pace.ask(host)
        if self._ownerless and found.taken:
            self._ownerless -= found.taken
            if not self._ownerless:
                self._pace.withdraw(ALL)
        if found.ownerless:
            # This host takes them over itself, if it can: only what is left concerns all.
            self._ownerless.update(islice(found.ownerless, MOST_AWAITED - len(self._ownerless)))
            self._pace.ask(ALL, found.ownerless, not_before=now + GAP_TO_ALL_S)
        if found.all:
            self._pace.ask(ALL)
        if self._pace.holds_back:
            self.on_held_back()
        if self.listens_as not in (None, self._host()):
            self._use.cancel()  # this host was judged dead, and has another row
        self._stirred.set()

    def await_of(self, runtime_ids: Collection[str]) -> None:
        """This host awaits something of these runtimes, wherever they are owned."""
        if self.gives:
            self._pace.ask(ALL, runtime_ids)
            self._stirred.set()

    async def serve(self) -> None:
        """Keep a line open for as long as the store is. One task; `open_store` starts it."""
        wait_s = SHORTEST_S
        while self._open_line is not None:
            line = await self._opened(self._open_line)
            if line is not None:
                self._missed = 0
                self._unheard.over()
                opened_at = trio.current_time()
                try:
                    await self._used(line)
                finally:
                    line.close()
                    self._set_heard(is_heard=False)
                if trio.current_time() - opened_at > LONGEST_S:  # else what ends lines may end each of them
                    wait_s = SHORTEST_S
            await trio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_S)

    async def say_last(self) -> None:
        """Give what hints are left, for at most `LAST_S`: this host closes."""
        self._pace.hurry()
        self._stirred.set()
        with trio.move_on_after(LAST_S):
            while self.gives and self._pace.waits:
                await self._said.wait()

    async def _opened(self, open_line: OpenLine) -> HintLine | None:
        opening, executor = _Opening(open_line, self._host()), self._make_executor()
        self.listens_as = self._host()
        try:
            return await executor.run(opening.open)
        except trio.Cancelled:
            opening.abandon()
            raise
        except (Error, Again, UnknownOutcome) as exc:
            # The writer and the readers meet it as well, and say so; but not where the server refuses one more session, say.
            self._missed += 1
            if isinstance(exc, Error) or self._missed >= MISSED:
                self._unheard.met(exc)
            return None
        finally:
            executor.close()

    async def _used(self, line: HintLine) -> None:
        """Use a line until it is lost."""

        async def hear() -> None:
            while True:
                for hint in line.hear():
                    self._heard(hint)
                self._stirred.set()
                await trio.lowlevel.wait_readable(line)

        with trio.CancelScope() as self._use, suppress(Again):  # it is lost, and the next one is opened
            await together(hear, partial(self._say, line), partial(self._check, self._host()))

    async def _say(self, line: HintLine) -> None:
        while True:
            self._stirred = trio.Event()
            if not line.is_busy:
                now = trio.current_time()
                due = self._pace.take(now)
                if due is not None:
                    if due.everyone is not None:
                        self._ownerless.clear()
                    line.say(due.hosts, due.everyone, max(0.0, self._spare_until - now))
                    self._said.set()
                    self._said = trio.Event()
            while line.flush():
                await trio.lowlevel.wait_writable(line)
            next_at = float("inf") if line.is_busy else self._pace.next_at
            with trio.CancelScope(deadline=next_at):
                await self._stirred.wait()

    async def _check(self, host: int) -> None:
        """Have a line that is silent prove that hints still arrive. Raises `Again` where none comes back."""
        while True:
            before = self._hints
            await trio.sleep(QUIET_S)
            if self._hints == before and self.is_heard:
                self._pace.ask(host)
                self._stirred.set()
                await trio.sleep(QUIET_S)
                if self._hints == before:
                    message = "no hint arrives any more"
                    raise Again(message)

    def _heard(self, hint: Hint) -> None:
        self._hints += 1
        if hint.own:
            if not self.is_heard:
                self._pace.ask(ALL)  # they see this host at once
            self._set_heard(is_heard=True)
            return
        if hint.host is not None:
            now = trio.current_time()
            if hint.spare_s > 0:
                self._pace.spare(hint.host, now + min(hint.spare_s, LONGEST_SPARE_S))
            if self._awaiting.note(hint.host, hint.awaits, now):
                self._pace.ask(hint.host)
        self.on_hint()

    def _set_heard(self, *, is_heard: bool) -> None:
        if self.is_heard != is_heard:
            self.is_heard = is_heard
            self.on_hint()


def _nothing() -> None:
    """No supervisor is open on this store."""
