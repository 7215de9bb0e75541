"""Who does not enter what opens, or stands in another loop, is answered with what to write, and nothing is opened."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
import tenure.asyncio
import tenure.sync
from tenure.errors import Unsupported

ON_TRIO = (partial(tenure.open_supervisor, behaviours={}), tenure.open_store)
ON_ASYNCIO = (partial(tenure.asyncio.open_supervisor, behaviours={}), tenure.asyncio.open_store)
WITHOUT_A_LOOP = (partial(tenure.sync.open_supervisor, behaviours={}), tenure.sync.open_store)


def run_on_asyncio(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def run_on_trio(main: Coroutine[Any, Any, None]) -> None:
    async def await_it() -> None:
        await main

    trio.run(await_it)


@pytest.mark.parametrize("opens", [*ON_TRIO, *ON_ASYNCIO, *WITHOUT_A_LOOP])
def test_what_was_not_entered_has_no_verbs_and_says_what_to_write(opens: Callable[..., Any], tmp_path: Path) -> None:
    unentered = opens(tmp_path / "a.db")

    with pytest.raises(AttributeError, match=r"has no accept: write `(async )?with open_\w+\(\.\.\.\) as opened:`"):
        _ = unentered.accept
    with pytest.raises(TypeError, match=r"is not awaited, but entered: write `(async )?with open_"):
        unentered.__await__()
    assert not hasattr(unentered, "verdict")
    assert copy.copy(unentered) is not unentered
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opens", [*ON_TRIO, *ON_ASYNCIO])
def test_a_plain_with_around_what_is_asynchronous_says_what_to_write(opens: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"write `async with open_"), opens(tmp_path / "a.db"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opens", WITHOUT_A_LOOP)
def test_an_async_with_around_what_is_for_programs_without_a_loop_says_so(
    opens: Callable[..., Any], tmp_path: Path
) -> None:
    async def main() -> None:
        async with opens(tmp_path / "a.db"):
            pass

    with pytest.raises(TypeError, match=r"programs without a loop: write `with open_"):
        asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("runs", "opens", "said"),
    [
        *[(run_on_asyncio, each, "outside of trio") for each in ON_TRIO],
        *[(run_on_trio, each, "outside of an asyncio loop") for each in ON_ASYNCIO],
    ],
)
def test_what_is_opened_in_another_loop_is_unsupported(
    runs: Callable[[Any], object], opens: Callable[..., Any], said: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with opens(tmp_path / "a.db"):
            pass

    with pytest.raises(Unsupported, match=said):
        runs(main())
    assert list(tmp_path.iterdir()) == []
