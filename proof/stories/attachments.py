"""Attachments, as a part of the scenario with every kind of commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from tenure.persistence.store import Store

from .words import Words

Retried = Callable[..., Awaitable[Any]]
"""Calls a verb again where the disk was full."""

SESSION: Final = "album"
EVER: Final = 2**62


async def tell_attachments(store: Store, retried: Retried) -> None:
    """Files that are kept, only meant, and let go of again."""
    attachments = store.attachments
    kept = await retried(attachments.put, SESSION, b"kept" * 300, "file:kept")
    await retried(attachments.put, "another", b"kept" * 300)
    brief = await retried(attachments.put, SESSION, b"brief" * 300)
    await retried(attachments.commit_refs, SESSION, [kept])
    await retried(attachments.put, SESSION, b"meant" * 300)
    await retried(attachments.forget, SESSION, brief)
    await retried(attachments.collect, EVER)


async def everyday_attachment(store: Store, retried: Retried, day: int, size: int) -> None:
    """A file of the day, committed."""
    name = await retried(store.attachments.put, SESSION, b"day %d" % day + b"." * size)
    await retried(store.attachments.commit_refs, SESSION, [name])


async def attachments(words: Words) -> None:
    """See `tell_attachments`."""
    await tell_attachments(words.store, words.retried)


async def attachment_of_day(words: Words, day: int) -> None:
    """See `everyday_attachment`."""
    await everyday_attachment(words.store, words.retried, day, words.random.randrange(3_000))
