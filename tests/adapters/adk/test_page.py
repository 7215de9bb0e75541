"""The program of the Agent Development Kit in docs/adapters.md is run as it stands there, with a model that is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.programs import printed, program

MODEL = '''
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.models.registry import LLMRegistry
from google.genai import types


class Counts(BaseLlm):
    """Answers with the number of contents that it was asked with."""

    async def generate_content_async(self, llm_request, stream=False):
        part = types.Part(text=f"of {len(llm_request.contents)}")
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


LLMRegistry.resolve = staticmethod(lambda model: Counts)
'''


@pytest.mark.slow
def test_the_program_of_the_page_finds_its_session_when_it_runs_again(tmp_path: Path) -> None:
    for contents in (1, 3):
        assert f"of {contents}" in printed(MODEL + program("Google ADK: session service"), tmp_path)
