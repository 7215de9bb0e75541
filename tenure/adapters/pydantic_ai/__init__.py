"""Agents of Pydantic AI as behaviours: what they ask of models and tools are recorded steps of a run.

    agent = Agent("openai:gpt-5", name="clerk", tools=[book], capabilities=[TenureCapability()])

    @tenure.asyncio.behaviour
    async def clerk(run: tenure.asyncio.Run) -> str:
        return (await run_agent(run, agent, run.inputs[0].payload)).output

Theory of operation. The framework calls each request to a model and each call of a tool an operation, and lets an engine
carry it out. Here that is `run.step`: the result is on disk before the agent sees it, and where the run enters again the agent
runs again from its beginning and is given what was recorded. Each step has a call id, made of the agent's run, the model's
id of the tool call and how often both were met, so tools and agents may work side by side.
"""

from __future__ import annotations

try:
    from .capability import TenureCapability as TenureCapability
    from .conversation import run_agent as run_agent
    from .entering import step_key as step_key, within as within
    from .steps import StepTerms as StepTerms, returned as returned
except ModuleNotFoundError as exc:
    exc.add_note("this adapter needs more: pip install 'tenure[pydantic-ai]'")
    raise

__all__ = ["StepTerms", "TenureCapability", "returned", "run_agent", "step_key", "within"]
