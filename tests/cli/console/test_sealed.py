"""The console on a sealed store: without its key every page is there and no content, with it all is as in the clear."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.cli.console.worlds import served
from tests.cli.test_key_commands import KEY, SECRET, fill

pytestmark = [pytest.mark.slow, pytest.mark.process]

PAGES = ("/", "/runtimes", "/dead-letters", "/runs", "/schedules", "/queue")
OF_RUNTIME = ("/runtime", "/inputs", "/steps")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    trio.run(fill, tmp_path / "agents.db")
    return tmp_path / "agents.db"


def test_without_its_key_every_page_is_there_and_no_content(path: Path) -> None:
    with served(path) as console:
        console.let_in()
        for page in PAGES:
            assert SECRET not in console.page(page)
        for page in OF_RUNTIME:
            assert SECRET not in console.page(page, id="ann")
        refused = console.ask("/messages?id=ann")
        assert refused.status == 503
        assert "KeyMissing" in refused.text


def test_with_its_key_contents_are_shown_and_verbs_work(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENURE_KEYS", f"one {KEY}")
    with served(path, "--allow-verbs") as console:
        console.let_in()
        assert SECRET in console.page("/messages", id="ann")
        assert console.act("accept", "ann", payload='"more"', key="k").status == 303
        assert KEY not in console.page("/")
