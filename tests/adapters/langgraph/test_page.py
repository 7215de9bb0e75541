"""The programs of LangGraph in docs/adapters.md are run, as they stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.programs import printed, program


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heading", "said"),
    [("LangGraph: checkpointer", "{'text': 'HELLO'}\n"), ("LangGraph: store", "[{'likes': 'pears'}]\n")],
)
def test_a_program_of_the_page_runs_twice(tmp_path: Path, heading: str, said: str) -> None:
    for _ in range(2):
        assert printed(program(heading), tmp_path) == said
