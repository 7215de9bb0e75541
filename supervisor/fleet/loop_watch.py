"""Where a loop stands that stands still: found by a thread beside it, while it lasts.

Blocking code keeps every task from running, ours too; only a thread sees it then. It looks at what the loop's thread executes,
and names the line of the user's code from which it went into ours or trio's. While that lasts it breathes for the host: other
hosts see that the process lives, and let it keep its runtimes.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final, final

from tenure.errors import NoThread
from tenure.persistence.seams.executors import start_thread

LOOK_S: Final = 0.25
"""Seconds between two looks at the loop."""

THREAD: Final = "tenure-loop-watch"
"""Name of the thread."""

_OURS: Final = ("tenure.", "trio.", "outcome.", "supervisor.", "actors.", "persistence.")


@final
class LoopWatch:
    """Watches the loop of the thread that makes it.

    Attributes:
        found: Where it stood when it was last late: function, file and line; empty where it was not.
    """

    def __init__(self, late_s: float, heard: Callable[[float, str], None], breathe: Callable[[], None]) -> None:
        """`heard` is called, from the thread, each time that the loop is late by `late_s`: for how long by then, and where.

        `breathe` is called there again and again for as long as it is.
        """
        self._late_s = late_s
        self._heard = heard
        self._breathe = breathe
        self._loop = threading.get_ident()
        self._due = time.perf_counter()
        self._reported = 0.0
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.found = ""

    def start(self) -> None:
        """Begin to look; without a thread to be had nothing is found out while it lasts."""
        thread = threading.Thread(target=self._watch, name=THREAD, daemon=True)
        with suppress(NoThread):
            start_thread(thread.start, THREAD)
            self._thread = thread

    def close(self) -> None:
        """Look no more; the thread has ended when this returns."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()  # it waits for nothing but this

    def beat(self, seconds: float) -> None:
        """The loop runs, and is to be heard of again after so many seconds."""
        self._due = time.perf_counter() + seconds

    def late_s(self) -> float:
        """Seconds by which the loop is late now; 0 where it is not, or is not watched. May be asked from any thread."""
        return 0.0 if self._thread is None else max(0.0, time.perf_counter() - self._due)

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_S):
            due = self._due
            late_s = time.perf_counter() - due
            if late_s <= 0:
                continue
            frame = sys._current_frames().get(self._loop)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - documented, for debuggers
            if frame is not None and _is_idle(frame):
                self._due = max(self._due, time.perf_counter())  # it runs; who beats waits, for a server, say
                continue
            if late_s < self._late_s:
                continue
            self._breathe()
            if due == self._reported:
                continue
            self._reported, self.found = due, "" if frame is None else place_of(frame)
            self._heard(late_s, self.found)


def _is_idle(innermost: FrameType) -> bool:
    """Whether the loop waits for something to happen: then all that could run has run."""
    return innermost.f_code.co_name == "get_events" and str(innermost.f_globals.get("__name__")).startswith(
        "trio._core."
    )


def place_of(innermost: FrameType, also: tuple[str, ...] = ()) -> str:
    """The line of the user's code from which a thread went into ours or trio's; else that of the innermost frame.

    `also`: modules that are the user's code no more than ours are.
    """
    frame: FrameType | None = innermost
    users = innermost
    while frame is not None and not str(frame.f_globals.get("__name__")).startswith((*_OURS, *also)):
        users, frame = frame, frame.f_back
    code = users.f_code
    return f"{code.co_qualname} in {Path(code.co_filename).name}:{users.f_lineno}"
