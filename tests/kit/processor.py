"""The seconds of the processor that tests take, their processes included, and who should be marked slow."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator
from typing import Any

import pytest

SLOW_S = 1.0
"""Who takes longer is marked slow."""

COSTLIEST = 40
"""How many files are printed, of those that take longer."""

TAKEN = "processor_s"
"""The name of the figure in a report."""


def processor_s() -> float:
    """What this process has taken, and those of its children that it has waited for."""
    return sum(os.times()[:4])


class ProcessorTime:
    """A plugin: measures each part of each test, and prints the sum in the end."""

    def __init__(self) -> None:
        self._taken: dict[str, float] = defaultdict(float)
        self._slow: set[str] = set()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """The time begins with the test."""
        item.stash[_BEGAN] = processor_s()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """What a part has taken goes with its report, which crosses processes."""
        report = yield
        now = processor_s()
        report.user_properties = [*report.user_properties, (TAKEN, now - item.stash[_BEGAN])]
        item.stash[_BEGAN] = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Sum up where the reports arrive."""
        self._taken[report.nodeid] += sum(float(str(taken)) for name, taken in report.user_properties if name == TAKEN)
        if "slow" in report.keywords:
            self._slow.add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """One line, the files that take most of it, and one line for each test that lacks its mark."""
        slow_s = sum(self._taken[each] for each in self._slow)
        terminalreporter.write_line(
            f"seconds of the processor: {sum(self._taken.values()):.0f} in {len(self._taken)} tests, "
            f"{slow_s:.0f} of them in {len(self._slow)} marked slow"
        )
        of_files: dict[str, float] = defaultdict(float)
        for nodeid, taken in self._taken.items():
            of_files[nodeid.partition("::")[0]] += taken
        for name, taken in sorted(of_files.items(), key=lambda each: -each[1])[:COSTLIEST]:
            if taken > SLOW_S:
                terminalreporter.write_line(f"{taken:8.1f} s {name}")
        for nodeid, taken in sorted(self._taken.items(), key=lambda each: -each[1]):
            if taken > SLOW_S and nodeid not in self._slow:
                terminalreporter.write_line(f"not marked slow: {taken:5.1f} s {nodeid}")


_BEGAN = pytest.StashKey[float]()
