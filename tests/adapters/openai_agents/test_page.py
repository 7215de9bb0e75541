"""The program of the OpenAI Agents SDK in docs/adapters.md is run as it stands there, with a model that is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.programs import printed, program

MODEL = '''
from agents import ModelResponse, Usage
from agents.models.interface import Model
from agents.models.openai_provider import OpenAIProvider
from openai.types.responses import ResponseOutputMessage, ResponseOutputText


class Counts(Model):
    """Answers with the number of items that it was asked with."""

    async def get_response(self, system_instructions, input, *more, **terms):
        text = ResponseOutputText(type="output_text", text=f"of {len(input)}", annotations=[])
        said = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    async def stream_response(self, *more, **terms):
        raise NotImplementedError


OpenAIProvider.get_model = lambda self, name: Counts()
'''


@pytest.mark.slow
def test_the_program_of_the_page_goes_on_with_its_conversation_when_it_runs_again(tmp_path: Path) -> None:
    for items in (1, 3):
        asked = MODEL + program("OpenAI Agents: session")
        assert printed(asked, tmp_path, OPENAI_AGENTS_DISABLE_TRACING="1") == f"of {items}\n"
