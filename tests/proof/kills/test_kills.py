"""Real hosts, killed by SIGKILL, lose nothing that they had acknowledged and double nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from proof.killed.host import POINTS
from proof.killed.killing import PromiseNotKept
from proof.kills import (
    Said,
    main,
    run,
)
from tenure.persistence.engines.sqlite.opening.migrations import migrate
from tests.kit.shares import TURN, share

pytestmark = pytest.mark.process


@pytest.mark.slow
def test_a_few_kills_at_points_that_take_turns(tmp_path: Path) -> None:
    points = share(POINTS, 9)
    report = run(len(points) + 1, TURN, tmp_path, points=points)

    assert set(report.kills) == set(points)
    assert report.executed


@pytest.mark.slow
def test_the_command_kills_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kills", "1"]) == 0
    assert "nothing lost, doubled or stuck" in capsys.readouterr().out


def nothing_left() -> apsw.Connection:
    database = apsw.Connection(":memory:")
    migrate(database, "memory", 0.0)
    return database


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([("accepted", "ann", "n-1", "i-1")], "n-1 of ann was lost"),
        ([("accepted", "ann", "n-1", "i-1"), ("accepted", "ann", "n-1", "i-2")], "n-1 was i-1, and is i-2"),
        ([("executed", "r pay", "never", None), ("executed", "r pay", "never", None)], "may never be repeated"),
        ([("executed", "r post", "keyed", "a"), ("executed", "r post", "keyed", "b")], "another key"),
        ([("seen", "r", "pay", 4)], "was seen with 4"),
        ([("token", "ann", 3), ("token", "ann", 2)], "went back to 2"),
        ([("queued", 3)], "piece 3 was queued, and is neither there nor done"),
        ([("filed", 3)], "piece 3 was filed, and is not"),
        ([("ended", "ann", "i-1", "consumed"), ("ended", "ann", "i-1", "abandoned")], "i-1 ended twice"),
    ],
)
def test_the_comparison_sees(lines: list[tuple[Any, ...]], words: str) -> None:
    said = Said()

    with pytest.raises(PromiseNotKept, match=words):
        hear_and_compare(said, lines)


def hear_and_compare(said: Said, lines: list[tuple[Any, ...]]) -> None:
    for kind, *facts in lines:
        said.hear(kind, facts)
    said.compare(nothing_left())
