"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has logged goes to another process where tests run side by side: text without a form in UTF-8 is escaped."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
