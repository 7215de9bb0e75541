"""The examples that tell a story run, and tell it as they should."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.pages.examples.stories import (
    PATIENCE_S,
    after_folder,
    start,
    tell,
)

pytestmark = pytest.mark.process


@pytest.mark.turns(4)
@pytest.mark.slow
def test_without_a_store_an_example_makes_a_folder_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = Path(tell("spawn_supervised.py").partition("\n")[0].removeprefix("folder: "))

    assert (folder / "agents.db").is_file()
    assert folder.parent == tmp_path


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.parametrize("name", ["spawn_supervised.py", "crash_recovery.py", "approvals.py", "deploys.py"])
def test_a_story_is_not_told_over_an_old_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    with start(name, "--db", tmp_path / "a.db") as process:
        _, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 2
    assert "exists" in errors


@pytest.mark.turns(4)
@pytest.mark.slow
def test_siblings_do_not_notice_the_courier_that_is_held(tmp_path: Path) -> None:
    told = after_folder(tell("spawn_supervised.py", "--db", tmp_path / "a.db"), tmp_path)

    attempts = re.findall(r"courier: parcel (\d), attempt (\d)", told)
    assert attempts == [("1", "1"), ("1", "2"), ("1", "3"), ("2", "1"), ("2", "2"), ("3", "1")]
    assert "parcel 1: abandoned, max_attempts_exhausted; last error: ConnectionError: the bridge is out\n" in told
    assert "courier is held: budget used up (ConnectionError: the bridge is out)\n" in told
    assert told.count("clerk: consumed") == told.count("poet: consumed") == 2
    assert "runtimes: 3, held: 1\n" in told
    assert "courier: [{'delivered': 2}, {'delivered': 3}]\n" in told


@pytest.mark.turns(4)
@pytest.mark.slow
def test_each_kill_leaves_what_the_story_says(tmp_path: Path) -> None:
    told = after_folder(tell("crash_recovery.py", "--db", tmp_path / "a.db"), tmp_path)

    assert told == Path(__file__).with_name("crash_recovery.txt").read_text(encoding="utf-8")


@pytest.mark.turns(4)
@pytest.mark.slow
def test_an_answer_comes_after_a_restart_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    told = after_folder(tell("approvals.py", "--db", tmp_path / "a.db"), tmp_path)
    # A wait looks once when it is entered and once for each wake-up, so how many looks came before is a matter of time.
    told = re.sub(r"step pay at main/\d+ ", "step pay at main/N ", told)

    assert told == Path(__file__).with_name("approvals.txt").read_text(encoding="utf-8")


@pytest.mark.turns(4)
@pytest.mark.slow
def test_what_a_deploy_finds_unfinished_goes_on_or_is_held_and_nothing_is_charged_twice(tmp_path: Path) -> None:
    told = after_folder(tell("deploys.py", "--db", tmp_path / "a.db"), tmp_path)

    assert told == Path(__file__).with_name("deploys.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_an_asyncio_program_talks_to_its_agents(tmp_path: Path) -> None:
    told = after_folder(tell("asyncio_host.py", "--db", tmp_path / "a.db"), tmp_path)

    assert "the last one again: {'outcome': 'consumed', 'known': True}\n" in told
    assert "its key with another message: {'error': 'IdempotencyConflict'," in told
    assert "['You said: message 1', 'You said: message 2', 'You said: message 3']\n" in told
    assert told.endswith("closed; what was accepted is on disk\n")


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_server_ends_in_order_at_a_signal(number: signal.Signals, code: int, tmp_path: Path) -> None:
    with start("asyncio_host.py", "--db", tmp_path / "a.db", "--serve", 0) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(number)
        printed, errors = process.communicate(timeout=PATIENCE_S)

    assert lines[1].startswith("serving on http://127.0.0.1:")
    assert process.returncode == code, errors
    assert "what was accepted is on disk" in printed + errors
    assert "Traceback" not in errors
