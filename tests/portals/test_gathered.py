"""What threads hand over is taken once, in order, with one wake-up for what came before it was heard."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from tenure.portals.gathered import Gathered

Heard = Callable[[], object]


def test_what_comes_before_the_bell_is_heard_rings_it_once_and_is_taken_in_order() -> None:
    taken: list[int] = []
    bells: list[Heard] = []
    gathered = Gathered(taken.append)

    for number in range(3):
        gathered.add(number, bells.append)
    assert (taken, len(bells)) == ([], 1)
    bells.pop()()
    assert taken == [0, 1, 2]
    gathered.add(3, bells.append)
    bells.pop()()
    assert (taken, bells) == ([0, 1, 2, 3], [])


def test_what_could_not_be_rung_for_is_not_handed_over_and_the_next_rings_again() -> None:
    taken: list[str] = []
    bells: list[Heard] = []
    gathered = Gathered(taken.append)

    def gone(_: Heard) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        gathered.add("lost", gone)
    gathered.add("kept", bells.append)
    bells.pop()()
    assert taken == ["kept"]


def test_what_is_added_while_it_is_rung_or_taken_is_not_lost() -> None:
    taken: list[str] = []
    bells: list[Heard] = []
    gathered: Gathered[str]

    def take(thing: str) -> None:
        taken.append(thing)
        if thing == "first":
            gathered.add("meanwhile", bells.append)

    def ring(heard: Heard) -> None:
        bells.append(heard)
        gathered.add("of a handler", bells.append)  # of a signal, in the thread that rings

    gathered = Gathered(take)
    gathered.add("first", ring)
    while bells:
        bells.pop(0)()
    assert taken == ["first", "of a handler", "meanwhile"]


def test_threads_that_hand_over_at_once_lose_nothing_and_keep_their_order() -> None:
    bells: SimpleQueue[Heard | None] = SimpleQueue()
    taken: list[tuple[int, int]] = []
    gathered = Gathered(taken.append)

    def work(name: int) -> None:
        for turn in range(2_000):
            gathered.add((name, turn), bells.put)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    threading.Thread(target=lambda: ([thread.join() for thread in threads], bells.put(None))).start()
    while (heard := bells.get()) is not None:
        heard()
    assert len(taken) == 16_000
    assert all([turn for name, turn in taken if name == which] == list(range(2_000)) for which in range(8))
