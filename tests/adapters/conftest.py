"""Tests of adapters: marked so, and skipped where the framework is not installed, unless this is their lane of the gate."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FRAMEWORKS = {
    "a2a": "a2a",
    "adk": "google.adk",
    "langgraph": "langgraph",
    "mcp": "mcp",
    "openai_agents": "agents",
    "pydantic_ai": "pydantic_ai",
    "webhooks": "standardwebhooks",
}
"""By folder of tests: the module whose absence skips them."""


def is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor is what it stands in
        return False


class Missing(pytest.Module):
    """A module of tests whose framework is not there."""

    def collect(self) -> Any:
        folder = self.path.relative_to(HERE).parts[0]
        pytest.skip(f"{FRAMEWORKS[folder]} is not installed: pip install '.[test-adapters]'", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    framework = FRAMEWORKS.get(module_path.relative_to(HERE).parts[0])
    in_lane = os.environ.get("CI") == "true" and "not" not in parent.config.option.markexpr.split()
    if framework is None or in_lane or is_there(framework):
        return None
    missing: Missing = Missing.from_parent(parent, path=module_path)
    return missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.adapters)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What each suite of others has said, as its test has it in the property `suite`."""
    reports = [each for key in ("passed", "failed") for each in terminalreporter.stats.get(key, [])]
    said = sorted(value for report in reports for name, value in report.user_properties if name == "suite")
    if said:
        terminalreporter.section("suites")
        terminalreporter.write_line("\n".join(said))
