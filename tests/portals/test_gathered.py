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


def test_what_others_have_added_to_a_bell_that_could_not_be_rung_is_taken_all_the_same() -> None:
    taken: list[str] = []
    gathered = Gathered(taken.append)

    def gone(_: Heard) -> None:
        gathered.add("of another", gone)  # who saw that a bell was about to be rung
        raise RuntimeError

    with pytest.raises(RuntimeError):
        gathered.add("lost", gone)
    assert taken == ["of another"]


def test_a_bell_that_a_signal_kept_from_being_rung_is_rung_for_others() -> None:
    taken: list[str] = []
    bells: list[Heard] = []
    gathered = Gathered(taken.append)

    def interrupted(heard: Heard) -> None:
        if not bells:
            bells.append(heard)
            gathered.add("of another", bells.append)
            bells.clear()  # it was not rung yet
            bells.append(lambda: None)
            raise KeyboardInterrupt
        bells.append(heard)

    with pytest.raises(KeyboardInterrupt):
        gathered.add("lost", interrupted)
    for heard in bells:
        heard()
    assert taken == ["of another"]


def test_who_is_woken_waits_for_nothing_of_who_rings() -> None:
    taken: list[str] = []
    gathered = Gathered(taken.append)

    def ring(heard: Heard) -> None:
        other = threading.Thread(target=heard, daemon=True)  # looks before this has come back
        other.start()
        other.join(20)
        assert not other.is_alive()

    gathered.add("thing", ring)
    assert taken == ["thing"]


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
