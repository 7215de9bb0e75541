"""The program of Pydantic AI in docs/adapters.md is run as it stands there, with a model that is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.programs import printed, program

MODEL = """
import pydantic_ai.models
from pydantic_ai.models.test import TestModel

infer = pydantic_ai.models.infer_model
pydantic_ai.models.infer_model = lambda model, *more: TestModel() if isinstance(model, str) else infer(model, *more)
"""


@pytest.mark.slow
def test_the_program_of_the_page_has_its_answer_when_it_runs_again(tmp_path: Path) -> None:
    asked = MODEL + program("Pydantic AI: agents as behaviours")
    first = printed(asked, tmp_path)
    assert "seat 7 to" in first
    assert printed(asked, tmp_path) == first  # the mail is the same one: nothing is done again
