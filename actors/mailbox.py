"""The mailbox of an actor: a bounded channel in memory.

A full mailbox makes senders wait, which is the backpressure that a host feels. What is durable is the inbox, not this.
"""

from __future__ import annotations

from typing import Generic, TypeVar, final

import trio
from attrs import frozen

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

    def __init__(self, size: int) -> None:
        """A mailbox for at most `size` messages."""
        self._send, self._receive = trio.open_memory_channel[M](size)

    async def send(self, message: M) -> None:
        """Put a message in, waiting for room.

        Raises:
            trio.ClosedResourceError, trio.BrokenResourceError: The actor is gone.

        Cancellation: either the message is in, or nothing happened.
        """
        await self._send.send(message)

    def offer(self, message: M) -> bool:
        """Put a message in if there is room. Returns False where the sender must wait.

        Raises:
            trio.ClosedResourceError, trio.BrokenResourceError: The actor is gone.
        """
        try:
            self._send.send_nowait(message)
        except trio.WouldBlock:
            return False
        return True

    async def receive(self) -> M:
        """Take the oldest message, waiting for one. Raises `trio.EndOfChannel` once closed and empty."""
        return await self._receive.receive()

    def poll(self) -> M | None:
        """Take the oldest message, or None where there is none or the mailbox is closed."""
        try:
            return self._receive.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
            return None

    def close(self) -> list[M]:
        """Let nothing more in, and return what nobody received, for its senders to be answered."""
        left: list[M] = []
        while (message := self.poll()) is not None:
            left.append(message)
        self._send.close()
        self._receive.close()
        return left

    def statistics(self) -> MailboxStatistics:
        """How full it is now."""
        seen = self._receive.statistics()
        return MailboxStatistics(
            waiting=seen.current_buffer_used, size=int(seen.max_buffer_size), senders=seen.tasks_waiting_send
        )
