"""Where a target leads: one engine by its scheme, with the options of that engine and of no other."""

from __future__ import annotations

from pathlib import Path
from typing import final

import pytest
from attrs import frozen

import tenure
from tenure.errors import InvalidInput, Unsupported
from tenure.persistence.engines.choice import ENGINES, door_to
from tenure.persistence.engines.sqlite.system.files import OsFiles
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.options import EngineOptions
from tenure.persistence.upkeep.backup import back_up
from tenure.persistence.upkeep.cut_log import cut_log
from tenure.persistence.upkeep.look import look_into


@final
@frozen(kw_only=True, slots=True)
class OfAnotherEngine(EngineOptions):
    """Options that SQLite does not have."""


@pytest.mark.parametrize(
    ("target", "strongest"),
    [
        (":memory:", DurabilityClass.MEMORY),
        ("sqlite://", DurabilityClass.MEMORY),
        ("a.db", DurabilityClass.DISK),
        ("sqlite:///a.db", DurabilityClass.DISK),
        (Path("a.db"), DurabilityClass.DISK),
    ],
)
def test_a_scheme_leads_to_its_engine(target: str | Path, strongest: DurabilityClass) -> None:
    assert door_to(target).strongest is strongest


@pytest.mark.parametrize(("target", "seconds"), [("a.db", 30), (":memory:", 30), ("postgresql://host/db", 120)])
def test_a_verdict_is_waited_for_as_long_as_the_engine_may_need_and_no_longer_than_is_said(
    target: str, seconds: int
) -> None:
    assert door_to(target).limits.verdict_wait_s == seconds
    assert door_to(target, tenure.Limits(verdict_s=7)).limits.verdict_wait_s == 7


async def test_the_limits_of_an_open_store_are_those_of_its_engine() -> None:
    async with tenure.open_store(":memory:", limits=tenure.Limits(busy_s=7)) as store:
        assert store.limits == tenure.Limits(busy_s=7)


@pytest.mark.parametrize(("target", "wrong"), [("mysql://there/it", Unsupported), (b"a.db", InvalidInput)])
async def test_every_way_to_a_store_refuses_a_target_without_an_engine(
    target: str, wrong: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(wrong):
        async with tenure.open_store(target):
            pass
    with pytest.raises(wrong):
        async with look_into(target):
            pass
    with pytest.raises(wrong):
        await back_up(target, tmp_path / "copy.db")
    with pytest.raises(wrong):
        await cut_log(target)


async def test_options_of_another_engine_are_refused_before_anything_is_touched(tmp_path: Path) -> None:
    seams = tenure.Seams(engine=OfAnotherEngine())

    with pytest.raises(InvalidInput, match="OfAnotherEngine"):
        async with tenure.open_store(tmp_path / "a.db", seams=seams):
            pass
    assert not OsFiles().exists(str(tmp_path / "a.db"))


def test_every_scheme_has_a_door_that_touches_nothing(tmp_path: Path) -> None:
    for scheme in ENGINES:
        host = "nowhere.invalid" if "postgres" in scheme else ""
        door_to(f"{scheme}://{host}{tmp_path}/a.db" if scheme else tmp_path / "a.db")
    assert list(tmp_path.iterdir()) == []
