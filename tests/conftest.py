"""What holds for every test."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.kit.processor import ProcessorTime
from tests.kit.shares import TURN, TURN_NAME, WHOLE, whose_turn

# A commit waits for the disk, and another process may hold the machine: no example has a deadline.
# What failed is printed as a line that repeats it.
settings.register_profile("tenure", deadline=None, print_blob=True)
settings.load_profile("tenure")

pytest_plugins = ["pytest_tenure"]
"""Where tenure is installed its entry point names the same module; a checkout alone has no entry point."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background with SIGINT ignored, and children inherit that: those that a test
    # interrupts would never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)


os.environ[TURN_NAME] = str(TURN)  # for processes that run a part of the tests, also where midnight lies between


def pytest_configure(config: pytest.Config) -> None:
    """What a session needs: a place for compiled modules, and who counts its seconds."""
    config.pluginmanager.register(ProcessorTime(), "processor-time")
    config.option.power_cut_seed = config.option.power_cut_seed or TURN
    if WHOLE and config.getoption("timeout", None) is None:
        config.option.timeout = 0
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        # Many tests start processes, and each would compile every module again: most of what it costs. The checkout is spared.
        folder = os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="tenure-compiled-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose turn it is not, unless every case is asked for, or a test by its name."""
    if WHOLE or any("::" in each for each in config.args):
        return
    marks = [item.get_closest_marker("turns") for item in items]
    taken = whose_turn(None if mark is None else mark.args[0] for mark in marks)
    config.hook.pytest_deselected(items=[item for item, is_taken in zip(items, taken, strict=True) if not is_taken])
    items[:] = [item for item, is_taken in zip(items, taken, strict=True) if is_taken]


def pytest_sessionfinish() -> None:
    """No server outlives the process whose tests it was for."""
    started = sys.modules.get("tests.kit.postgres")
    if started is not None:
        started.end_servers()


def pytest_report_header() -> str:
    """Which shares of the long proofs this run takes."""
    return "shares: every case" if WHOLE else f"shares: of turn {TURN}; {TURN_NAME}={TURN} takes the same again"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has logged goes to another process where tests run side by side: text without a form in UTF-8 is escaped."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    if report.failed and not WHOLE:
        report.sections.append(("shares", f"{TURN_NAME}={TURN} takes the shares of this turn again"))
    return report
