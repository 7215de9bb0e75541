"""An adapter's verbs are written once, as coroutines, and called from asyncio and from threads alike.

Theory of operation. Over a store of `tenure.asyncio` a coroutine is awaited on its loop; a thread hands it to that loop and
waits. Over a store of `tenure.sync` nothing that it awaits ever suspends, so a thread drives it to its end by one send, and a
loop has a thread do that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import CancelledError, wait
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar, final

import tenure.asyncio
import tenure.sync
from tenure.errors import Closed, InvalidInput

T = TypeVar("T")

_LOOK_S: Final = 1.0
"""How often a thread that waits for a loop looks whether that is still there."""

AnyStore = tenure.asyncio.Store | tenure.sync.Store
"""What an adapter is made of: an open store of either front."""


class Values(Protocol):
    """The verbs of `tenure.Store.state` that adapters use."""

    def write(
        self,
        values: dict[str, bytes | None],
        ttl: timedelta | float | None = None,
        *,
        keep: bool = False,
        expected: dict[str, bytes | None] | None = None,
    ) -> Coroutine[Any, Any, int]:
        """See `tenure.Store.state`."""
        ...

    def renew(self, keys: list[str], ttl: timedelta | float | None) -> Coroutine[Any, Any, int]:
        """See `tenure.Store.state`."""
        ...

    def get_all(self, keys: list[str]) -> Coroutine[Any, Any, dict[str, bytes]]:
        """See `tenure.Store.state`."""
        ...

    def items(
        self, prefix: str, *, after: str | None = None, limit: int = 200, reverse: bool = False
    ) -> Coroutine[Any, Any, list[tuple[str, bytes]]]:
        """See `tenure.Store.state`."""
        ...

    def delete_execution_state(self, execution_id: str) -> Coroutine[Any, Any, None]:
        """See `tenure.Store.state`."""
        ...

    def sweep(self) -> Coroutine[Any, Any, int]:
        """See `tenure.Store.state`."""
        ...


@final
class _Blocking:
    """`Values` of a store of `tenure.sync`: each verb has ended before it is awaited."""

    def __init__(self, store: tenure.sync.Store) -> None:
        self._state = store.state

    async def write(
        self,
        values: dict[str, bytes | None],
        ttl: timedelta | float | None = None,
        *,
        keep: bool = False,
        expected: dict[str, bytes | None] | None = None,
    ) -> int:
        return self._state.write(values, ttl, keep=keep, expected=expected)

    async def renew(self, keys: list[str], ttl: timedelta | float | None) -> int:
        return self._state.renew(keys, ttl)

    async def get_all(self, keys: list[str]) -> dict[str, bytes]:
        return self._state.get_all(keys)

    async def items(
        self, prefix: str, *, after: str | None = None, limit: int = 200, reverse: bool = False
    ) -> list[tuple[str, bytes]]:
        return self._state.items(prefix, after=after, limit=limit, reverse=reverse)

    async def delete_execution_state(self, execution_id: str) -> None:
        self._state.delete_execution_state(execution_id)

    async def sweep(self) -> int:
        return self._state.sweep()


@final
class Caller:
    """Calls an adapter's coroutines over one store.

    Attributes:
        values: What the coroutines await, and nothing else.
        loop: Of a store of `tenure.asyncio`; else None.
    """

    def __init__(self, store: AnyStore) -> None:
        """Bind to an open store; one of `tenure.asyncio` on the loop where it was opened.

        Raises:
            InvalidInput: It is none, or there is no running loop for it.
        """
        self.values: Values
        self.loop: asyncio.AbstractEventLoop | None = None
        if isinstance(store, tenure.sync.Store):
            self.values = _Blocking(store)
            return
        if not isinstance(store, tenure.asyncio.Store):  # pyright: ignore[reportUnnecessaryIsInstance] - what callers pass
            raise InvalidInput(detail="it is made of a store of tenure.asyncio or tenure.sync", field="store")
        self.values = store.state
        try:
            self.loop = asyncio.get_running_loop()
        except RuntimeError:
            detail = "over a store of tenure.asyncio it is made on the loop, within a coroutine"
            raise InvalidInput(detail=detail, field="store") from None

    @property
    def is_on_its_loop(self) -> bool:
        """Whether this is the thread of the loop of a store of `tenure.asyncio`."""
        return self.loop is not None and asyncio._get_running_loop() is self.loop  # noqa: SLF001 - there may be none

    async def awaited(self, verb: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine for a caller on a loop.

        Cancellation: over a store of `tenure.asyncio`, that of its verbs. Over one of `tenure.sync` the thread goes on to the
        end of the coroutine, and its answer is dropped.
        """
        if self.loop is not None:
            return await verb
        return await asyncio.to_thread(_drive, verb)

    def waited(self, verb: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine for a caller in a thread, and wait for it.

        Raises:
            InvalidInput: Over a store of `tenure.asyncio`, and this thread is that of its loop, which would wait for itself.
            Closed: That loop has ended.
        """
        if self.loop is None:
            return _drive(verb)
        if self.is_on_its_loop:
            verb.close()
            detail = "this is the thread of the loop: await the verb whose name begins with an a, or use a store of tenure.sync"
            raise InvalidInput(detail=detail, field="store")
        return _wait_for(self.loop, verb)


def _wait_for(loop: asyncio.AbstractEventLoop, verb: Coroutine[Any, Any, T]) -> T:
    try:
        future = asyncio.run_coroutine_threadsafe(verb, loop)
    except RuntimeError as exc:
        verb.close()
        raise Closed(what="loop of the store") from exc
    # A loop that has ended does not answer what it was given last.
    while not wait([future], _LOOK_S).done:
        if loop.is_closed():
            future.cancel()
            verb.close()
            raise Closed(what="loop of the store")
    try:
        return future.result()
    except CancelledError as exc:  # by the end of the loop, which alone knows its task
        raise Closed(what="loop of the store") from exc


def _drive(verb: Coroutine[Any, Any, T]) -> T:
    try:
        verb.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    message = "a verb over a store without a loop has suspended"
    raise RuntimeError(message)
