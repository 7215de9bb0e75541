"""The mailbox of an actor: a bounded channel in memory.

A full mailbox makes senders wait, which is the backpressure that a host feels. What is durable is the inbox, not this.

An idle actor has one and may be one of many thousand; a memory channel of trio takes 1.8 KB, this takes less than 0.2.
"""

from __future__ import annotations

from typing import Generic, TypeVar, final

import trio
from attrs import frozen
from outcome import Error, Value

M = TypeVar("M")


@final
@frozen(kw_only=True, slots=True)
class MailboxStatistics:
    """How full a mailbox is.

    Attributes:
        waiting: Messages that wait for the actor.
        size: Most messages that may wait.
        senders: Tasks that wait for room.
    """

    waiting: int
    size: int
    senders: int


@final
class Mailbox(Generic[M]):
    """First in, first out; many senders, one receiver."""

    __slots__ = ("_closed", "_messages", "_receiver", "_senders", "_size")

    def __init__(self, size: int) -> None:
        """A mailbox for at most `size` messages."""
        self._size = size
        self._messages: list[M] = []
        self._senders: dict[trio.lowlevel.Task, M] = {}  # they wait for room, in the order in which they came
        self._receiver: trio.lowlevel.Task | None = None  # it waits for a message, so there is none
        self._closed = False

    async def send(self, message: M) -> None:
        """Put a message in, waiting for room.

        Raises:
            trio.ClosedResourceError: The actor is gone.

        Cancellation: either the message is in, or nothing happened.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.offer(message):
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._senders[task]
            return trio.lowlevel.Abort.SUCCEEDED

        self._senders[task] = message
        await trio.lowlevel.wait_task_rescheduled(abort)

    def offer(self, message: M) -> bool:
        """Put a message in if there is room. Returns False where the sender must wait.

        Raises:
            trio.ClosedResourceError: The actor is gone.
        """
        if self._closed:
            raise trio.ClosedResourceError
        if self._receiver is not None:
            trio.lowlevel.reschedule(self._receiver, Value(message))
            self._receiver = None
        elif len(self._messages) < self._size:
            self._messages.append(message)
        else:
            return False
        return True

    async def receive(self) -> M:
        """Take the oldest message, waiting for one. Raises `trio.EndOfChannel` once closed and empty.

        Cancellation: either a message is taken and returned, or nothing happened.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._messages:
            message = self._take()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return message
        if self._closed:
            raise trio.EndOfChannel

        def abort(_: object) -> trio.lowlevel.Abort:
            self._receiver = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._receiver = trio.lowlevel.current_task()
        received: M = await trio.lowlevel.wait_task_rescheduled(abort)
        return received

    def poll(self) -> M | None:
        """Take the oldest message, or None where there is none."""
        return self._take() if self._messages else None

    def close(self) -> list[M]:
        """Let nothing more in, and return what nobody received, for its senders to be answered."""
        left: list[M] = []
        while self._messages:
            left.append(self._take())
        self._closed = True
        if self._receiver is not None:
            trio.lowlevel.reschedule(self._receiver, Error(trio.EndOfChannel()))
            self._receiver = None
        return left

    def statistics(self) -> MailboxStatistics:
        """How full it is now."""
        return MailboxStatistics(waiting=len(self._messages), size=self._size, senders=len(self._senders))

    def _take(self) -> M:
        message = self._messages.pop(0)
        if self._senders:  # there is room for the first of them
            sender = next(iter(self._senders))
            self._messages.append(self._senders.pop(sender))
            trio.lowlevel.reschedule(sender)
        return message
