"""Tests of adapters: marked so, and skipped where the framework is not installed, unless this is their lane of the gate."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.kit import engines

engine = engines.engine

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

ON_SERVER = {
    "a2a/test_scenarios.py",
    "a2a/test_stores.py",
    "adk/test_scenarios.py",
    "adk/test_service.py",
    "langgraph/test_conformance.py::test_every_case_of_the_conformance_suite_passes",
    "langgraph/test_saver.py",
    "langgraph/test_store.py",
    "mcp/test_events.py",
    "openai_agents/test_session.py",
}
"""Tests of what adapters keep in stores, which run on a PostgreSQL server too; those with processes stay on a file."""


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


LONGEST = (
    "openai_agents/test_their_suite.py",
    "mcp/test_conformance.py",
    "pydantic_ai/test_mortal.py",
    "mcp/test_mortal.py",
    "a2a/test_mortal.py",
    "langgraph/test_store_suite.py",
)
"""What takes longest, or waits longest for others, begins first, so that no worker is left alone with it."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path = str(metafunc.definition.path.relative_to(HERE))
    if ON_SERVER & {path, f"{path}::{metafunc.function.__name__}"}:
        engines.on_both_engines(metafunc)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.adapters)
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    path = str(item.path.relative_to(HERE)) if item.path.is_relative_to(HERE) else ""
    return LONGEST.index(path) if path in LONGEST else len(LONGEST)


@pytest.fixture(autouse=True)
def _stands_on_the_server(engine: str, tmp_path: Path) -> Generator[None]:
    """No store of a test that runs on a server is a file, which has a lock beside it."""
    yield
    assert engine != engines.SERVER or not list(tmp_path.rglob("*-lock"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What each suite of others has said, as its test has it in the property `suite`."""
    reports = [each for key in ("passed", "failed") for each in terminalreporter.stats.get(key, [])]
    said = sorted(value for report in reports for name, value in report.user_properties if name == "suite")
    if said:
        terminalreporter.section("suites")
        terminalreporter.write_line("\n".join(said))
