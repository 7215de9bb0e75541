"""The mailbox: bounded, first in first out, and nobody is forgotten when it closes."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tenure.actors.mailbox import Mailbox


async def test_messages_come_out_in_the_order_they_went_in() -> None:
    mailbox = Mailbox[int](10)
    for n in range(3):
        await mailbox.send(n)

    assert [await mailbox.receive() for _ in range(3)] == [0, 1, 2]


async def test_a_full_mailbox_makes_senders_wait_and_says_so() -> None:
    mailbox = Mailbox[int](2)
    async with trio.open_nursery() as nursery:
        for n in range(5):
            nursery.start_soon(mailbox.send, n)
        await trio.testing.wait_all_tasks_blocked()
        full = mailbox.statistics()
        for _ in range(5):
            await mailbox.receive()
    empty = mailbox.statistics()

    assert (full.waiting, full.size, full.senders) == (2, 2, 3)
    assert (empty.waiting, empty.senders) == (0, 0)


async def test_a_cancelled_send_is_not_in_it() -> None:
    mailbox = Mailbox[str](1)
    await mailbox.send("in")
    with trio.CancelScope() as scope:
        scope.cancel()
        await mailbox.send("not in")

    assert mailbox.close() == ["in"]


async def test_close_gives_back_what_nobody_received_and_turns_away_who_waits() -> None:
    mailbox = Mailbox[int](2)
    turned_away: list[int] = []

    async def send(n: int) -> None:
        try:
            await mailbox.send(n)
        except trio.ClosedResourceError:
            turned_away.append(n)

    async with trio.open_nursery() as nursery:
        await mailbox.send(0)
        await mailbox.send(1)
        nursery.start_soon(send, 2)
        await trio.testing.wait_all_tasks_blocked()
        left = mailbox.close()
    with pytest.raises(trio.ClosedResourceError):
        await mailbox.send(3)

    # Each message is either given back or refused to its sender.
    assert sorted(left + turned_away) == [0, 1, 2]
    assert mailbox.close() == []


async def test_who_waits_for_a_message_is_told_of_the_close() -> None:
    mailbox = Mailbox[int](1)
    told: list[type[Exception]] = []

    async def receive() -> None:
        try:
            await mailbox.receive()
        except trio.EndOfChannel as exc:
            told.append(type(exc))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.close()

    assert len(told) == 1


async def test_who_is_cancelled_while_waiting_leaves_no_trace() -> None:
    mailbox = Mailbox[int](1)
    await mailbox.send(0)
    for wait in (lambda: mailbox.send(1), mailbox.receive, mailbox.receive):
        with trio.move_on_after(0.01):
            await wait()
    await mailbox.send(2)

    assert mailbox.statistics().senders == 0
    assert await mailbox.receive() == 2
    assert mailbox.poll() is None


async def test_nobody_overtakes_a_sender_that_waits() -> None:
    mailbox = Mailbox[int](1)
    await mailbox.send(0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.send, 1)
        await trio.testing.wait_all_tasks_blocked()

        assert mailbox.poll() == 0
        assert not mailbox.offer(2)
        assert [mailbox.poll(), mailbox.poll()] == [1, None]


async def test_a_message_that_was_handed_over_is_not_lost_to_a_cancellation_behind_it() -> None:
    mailbox = Mailbox[int](1)
    received: list[int] = []

    async def receive() -> None:
        received.append(await mailbox.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        assert mailbox.offer(1)
        nursery.cancel_scope.cancel()

    assert received == [1]
