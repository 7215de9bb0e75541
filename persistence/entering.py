"""Context managers that open what they give: who forgets to enter one is answered with what to write."""

from __future__ import annotations

import types
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import NoReturn, TypeVar, final

T_co = TypeVar("T_co", covariant=True)


class _Unentered:
    """What a program tries that has not entered it: each says how to, and opens nothing."""

    def __init__(self, name: str, word: str) -> None:
        self._name = name
        self._word = word

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # what protocols ask for, copies and inspection
            raise AttributeError(name)
        raise AttributeError(f"{self._name} has opened nothing yet, and has no {name}: {self._how()}", name=name)

    def __await__(self) -> NoReturn:
        raise TypeError(f"{self._name} is not awaited, but entered: {self._how()}")

    def _how(self) -> str:
        return f"write `{self._word} {self._name}(...) as opened:`, and use `opened` in that block"


@final
class EnteredAsync(_Unentered, AbstractAsyncContextManager[T_co]):
    """For ``async with``. `check` is called first; what it raises leaves, and nothing is opened."""

    def __init__(self, name: str, inner: AbstractAsyncContextManager[T_co], check: Callable[[], object]) -> None:
        """Around a context manager, by the name of the function that makes it."""
        super().__init__(name, "async with")
        self._inner = inner
        self._check = check

    async def __aenter__(self) -> T_co:
        self._check()
        return await self._inner.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
        /,
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, traceback)

    def __enter__(self) -> NoReturn:
        raise TypeError(f"{self._name} opens what is asynchronous: {self._how()}")

    def __exit__(self, *_: object) -> None:
        """Never called: nothing is entered so."""


@final
class Entered(_Unentered, AbstractContextManager[T_co]):
    """For ``with``."""

    def __init__(self, name: str, inner: AbstractContextManager[T_co]) -> None:
        """Around a context manager, by the name of the function that makes it."""
        super().__init__(name, "with")
        self._inner = inner

    def __enter__(self) -> T_co:
        return self._inner.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
        /,
    ) -> bool | None:
        return self._inner.__exit__(kind, error, traceback)

    async def __aenter__(self) -> NoReturn:
        raise TypeError(f"{self._name} is for programs without a loop: {self._how()}")

    async def __aexit__(self, *_: object) -> None:
        """Never called: nothing is entered so."""
