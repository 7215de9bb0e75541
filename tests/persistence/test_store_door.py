"""What a caller passes to the verbs of a store itself is checked as what it passes to those of a facet."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

import tenure
from tenure.errors import InvalidInput


@pytest.mark.parametrize("older_than_s", ["1", None, math.nan, math.inf, -1.0, True])
async def test_an_age_that_is_no_number_of_seconds_is_the_callers_mistake(older_than_s: Any) -> None:
    async with tenure.open_store(":memory:") as store:
        with pytest.raises(InvalidInput):
            await store.prune(older_than_s)


@pytest.mark.parametrize("older_than_s", [1e20, 2**70, sys.float_info.max])
async def test_any_age_may_be_asked_for(older_than_s: float) -> None:
    async with tenure.open_store(":memory:") as store:
        assert await store.prune(older_than_s) == tenure.Pruned()


@pytest.mark.parametrize(("incarnation", "group"), [(None, 1), ("a", "1"), ("a", 1.5), ("a\0", 1)])
async def test_a_verdict_is_asked_by_text_and_number(incarnation: Any, group: Any) -> None:
    async with tenure.open_store(":memory:") as store:
        with pytest.raises(InvalidInput):
            await store.verdict(incarnation, group)
