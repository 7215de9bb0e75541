"""The pytest plugin of tenure: the fixture ``power_cut`` and the options of the sweep.

It stands outside the package, for pytest imports it at every start wherever tenure is installed: it costs nothing where no
test asks for the fixture.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tenure.testing.power_cut_fixture import PowerCutFixture

FEW = 300
"""Images of a test without ``--power-cut``."""

MANY = 20_000
"""Images of a test with ``--power-cut``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the sweep."""
    group = parser.getgroup("power cut", "tenure: crash images of tests that use the fixture power_cut")
    group.addoption(
        "--power-cut",
        action="store_true",
        help=f"check up to {MANY} images a test in place of {FEW}",
    )
    group.addoption("--power-cut-images", type=int, metavar="N", help="check up to this many images a test")
    group.addoption(
        "--power-cut-seed",
        type=int,
        default=0,
        metavar="SEED",
        help="what everything drawn follows from (0)",
    )
    group.addoption(
        "--power-cut-folder",
        type=Path,
        metavar="DIR",
        help="where failing images are saved (the cache of pytest)",
    )
    group.addoption(
        "--power-cut-image",
        type=Path,
        metavar="DIR",
        help="check only this saved image, in the test named",
    )


@pytest.fixture
def power_cut(request: pytest.FixtureRequest) -> PowerCutFixture:
    """Checks what power cuts leave of a scenario: ``power_cut(scenario, check)`` in a sync test."""
    from tenure.testing.power_cut_fixture import PowerCutFixture  # noqa: PLC0415 - no cost where it is not used

    return PowerCutFixture(request, few=FEW, many=MANY)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was checked, with the seed that repeats it."""
    reports = [
        (report.nodeid, value)
        for report in terminalreporter.getreports("")
        for key, value in report.user_properties
        if key == "power-cut"
    ]
    if reports:
        terminalreporter.section("power cut")
        for nodeid, line in reports:
            terminalreporter.line(f"{nodeid}: {line}")
