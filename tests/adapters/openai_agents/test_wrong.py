"""What is wrong is refused by each verb of the session, and hides no item."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import tenure.asyncio
from tenure.adapters.openai_agents import TenureSession
from tenure.errors import InvalidInput
from tests.adapters.sweep import Verb, sweep, verbs_of


class Mute(Exception):
    """Its text raises."""

    def __str__(self) -> str:
        raise ZeroDivisionError


class Unreadable(dict[str, Any]):
    """A mapping of a caller's that cannot be gone through."""

    def items(self) -> Any:
        raise Mute


def test_what_raises_without_a_text_is_a_typed_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            items: Any = [{"role": "user", "content": Unreadable(a=1)}]
            with pytest.raises(InvalidInput, match="Mute"):
                await TenureSession("alice", store).add_items(items)

    asyncio.run(main())


def test_a_wrong_argument_is_a_typed_error_and_hides_no_item(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            session = TenureSession("alice", store)
            await session.add_items([{"role": "user", "content": "kept"}])

            async def intact() -> Any:
                return (await session.get_items())[0]

            async def write(**item: Any) -> None:
                items: Any = [item]
                await session.add_items(items)

            verbs: dict[str, Verb] = {
                "get_items": (session.get_items, {"limit": 3}),
                "add_items": (session.add_items, {"items": []}),
                "write": (write, {"role": "user", "content": "more"}),
            }
            assert {*verbs, "pop_item", "clear_session"} == {*verbs_of(TenureSession), "write"}
            assert await sweep(verbs, intact) > 30
            wrong: Any
            for wrong in (b"x", None, 3, "\ud800", ""):
                with pytest.raises(InvalidInput):
                    TenureSession(wrong, store)
            for wrong in (b"x", None, object()):
                with pytest.raises(InvalidInput):
                    TenureSession("alice", wrong)
            for wrong in (b"x", 3, {3: 4}, {"limit": "x"}):
                with pytest.raises(InvalidInput):
                    TenureSession("alice", store, session_settings=wrong)

    asyncio.run(main())
