"""What keeps a suite, or a framework, from being left out of the gate without a word."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adapters.suite import ROOT, Counted, Otherwise, downloaded


@pytest.mark.slow
def test_a_suite_that_cannot_be_downloaded_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")

    with pytest.raises(AssertionError, match="langgraph-checkpoint-sqlite"):
        downloaded("langgraph-checkpoint-sqlite", "3.1.2", tmp_path)


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(("ci", "status", "said"), [("true", 2, "ModuleNotFoundError"), ("", 5, "is not installed")])
def test_a_framework_that_is_not_there_has_its_tests_skipped_and_in_the_gate_failed(
    tmp_path: Path, ci: str, status: int, said: str
) -> None:
    (tmp_path / "without_it.py").write_text("import sys\nsys.modules['standardwebhooks'] = None\n")
    command = [sys.executable, "-m", "pytest", "-p", "without_it", "-p", "no:cacheprovider", "-q", "--collect-only"]

    done = subprocess.run(
        [*command, "-m", "adapters", "tests/adapters/webhooks"],
        cwd=ROOT,
        env={**os.environ, "CI": ci, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, said in done.stdout) == (status, True), done.stdout


@pytest.mark.parametrize(
    "otherwise",
    [
        {},
        {"t::fails": ("another error", "why")},
        {"t::fails": ("no such thing", "why"), "t::passes": ("", "why")},
        {"t::fails": ("no such thing", "why"), "t::gone": ("", "why")},
    ],
    ids=["not named", "for another reason", "passes by now", "is not there"],
)
def test_a_case_that_does_not_fail_as_it_is_written_is_a_fault(otherwise: Otherwise) -> None:
    counted = Counted(outcomes={"t::fails": "failure", "t::passes": "passed"}, said={"t::fails": "no such thing"})

    counted.check({"t::fails": ("no such thing", "why")})
    with pytest.raises(AssertionError):
        counted.check(otherwise)


def test_a_case_that_was_skipped_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        Counted(outcomes={"t::left": "skipped"}, said={"t::left": "no reason"}).check({})
