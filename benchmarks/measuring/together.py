"""Processes that begin at one moment, and stay until all that they share is done: hosts of a fleet, or workers of a queue."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from time import monotonic, process_time, sleep
from typing import Any, Final, final

from .report import Timing

PATIENCE_S: Final = 120.0
"""Seconds after which processes that do not go on are given up."""

LOOK_S: Final = 0.1
"""Seconds between two looks at whether all is done."""


@final
class Place:
    """The place of one process among those that work together; its work is called with it, and says how far it is.

    Attributes:
        number: Which of them it is, from 0.
    """

    def __init__(self, number: int, connection: Connection) -> None:
        """Say nothing yet."""
        self.number = number
        self._connection = connection
        self._cpu_s = 0.0

    def begin(self) -> None:
        """Say that all is ready, and wait until it is everywhere."""
        self.say_done()
        self.wait_end()
        self._cpu_s = process_time()

    @property
    def cpu_s(self) -> float:
        """Time of the processor since it began."""
        return process_time() - self._cpu_s

    def say_done(self) -> None:
        """Say that a part is done, and when: by a clock that all processes share."""
        self._connection.send(monotonic())

    def wait_end(self) -> None:
        """Wait until every process has done this part."""
        self._connection.recv()


def _be_one(work: Callable[[Place], None], number: int, connection: Connection) -> None:
    """What a process does."""
    place = Place(number, connection)
    work(place)
    connection.send(place.cpu_s)


Work = Callable[..., None]


def work_together(
    work: Work, arguments: Sequence[Any], *, processes: int, count: int, is_done: Callable[[], bool] | None = None
) -> tuple[Timing, Timing]:
    """Have processes accept `count` things together, and do them.

    Args:
        work: Called in each with its `Place` and the arguments. It calls `begin`, then `say_done` when its share is accepted,
            once more when it is done, unless `is_done` is given, and `wait_end`.
        arguments: More arguments of it.
        processes: How many there are.
        count: How many things they accept together.
        is_done: Whether all of it is done; asked again and again.

    Returns:
        How long it took until all was accepted, and until all was done, with the time of the processor of all processes.

    Raises:
        TimeoutError: They do not go on.
        EOFError: One has died.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as running:
        ends: list[Connection] = []
        for number in range(processes):
            mine, its = context.Pipe()
            process = context.Process(target=_be_one, args=(partial(_called, work, tuple(arguments)), number, its))
            process.start()
            its.close()
            running.callback(process.join)
            running.callback(process.terminate)
            ends.append(mine)
        _heard(ends)
        began = monotonic()
        _tell(ends)
        accepted_at = max(_heard(ends))
        done_at = max(_heard(ends)) if is_done is None else _when(is_done)
        _tell(ends)
        cpu_s = sum(_heard(ends))
    return (
        Timing(count=count, elapsed_s=accepted_at - began),
        Timing(count=count, elapsed_s=done_at - began, cpu_s=cpu_s),
    )


def _called(work: Work, arguments: Sequence[Any], place: Place) -> None:
    work(place, *arguments)


def _tell(ends: Sequence[Connection]) -> None:
    for end in ends:
        end.send(None)


def _heard(ends: Sequence[Connection]) -> list[float]:
    """What each process says next. Raises `TimeoutError`, `EOFError`."""
    heard: list[float] = []
    for end in ends:
        if not end.poll(PATIENCE_S):
            message = f"processes that work together stand still for {PATIENCE_S:g} s"
            raise TimeoutError(message)
        heard.append(end.recv())
    return heard


def _when(is_done: Callable[[], bool]) -> float:
    give_up_at = monotonic() + PATIENCE_S
    while not is_done():
        if monotonic() >= give_up_at:
            message = f"not all is done after {PATIENCE_S:g} s"
            raise TimeoutError(message)
        sleep(LOOK_S)
    return monotonic()
