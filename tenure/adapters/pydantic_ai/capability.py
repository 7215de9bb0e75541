"""The capability: an engine of durable execution, to the framework, that tenure is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import final

from pydantic_ai.agent import EventStreamHandler
from pydantic_ai.durable_exec import (
    JSON_CODEC,
    BaseDurabilityCapability,
    DurabilityEngineSpec,
    DurableOperationBackend,
    conversation_id_from_run_id,
)
from pydantic_ai.models import Model
from pydantic_ai.tools import AgentDepsT

from .entering import ENTERED
from .steps import Steps, StepTerms, checked_terms


@final
class TenureCapability(BaseDurabilityCapability[AgentDepsT]):
    """Makes an agent durable inside a run of tenure; outside of one the agent is as it was.

    A call of a tool is ``never`` repeated unless its terms say so: one that a crash has met is in doubt, and the behaviour's
    `in_doubt` hook or a person says whether it ran. A request to a model is repeated ``freely`` where it is not known
    whether it was answered. An agent that is run inside a tool is a part of that step. Toolsets that are given to a single
    run of the agent are refused: its steps are made when the agent is.
    """

    engine_spec = DurabilityEngineSpec(
        engine_name="tenure",
        durable_unit_noun="step",
        durable_container_noun="run",
        codec=JSON_CODEC,
        unsupported_runtime_toolset_kinds=frozenset({"function", "mcp", "dynamic"}),
    )

    def __init__(
        self,
        *,
        model: StepTerms | None = None,
        tools: StepTerms | None = None,
        models: Mapping[str, Model] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        name: str | None = None,
    ) -> None:
        """Give it to one agent, or several.

        Args:
            model: Terms of the steps of models; ``{"repeat": "freely"}``.
            tools: Terms of the steps of tools, for those whose metadata has none; ``{"repeat": "never"}``.
            models: Further models that runs may choose, by id.
            event_stream_handler: Sees the events of models as they come, inside their steps, and those of tools in
                further steps.
            name: Begins the names of the steps; the agent's name.

        Raises:
            InvalidInput: The terms do not say ``repeat``.
        """
        super().__init__(models=models, event_stream_handler=event_stream_handler, name=name)
        self._model_terms = checked_terms(model, {"repeat": "freely"}, "model")
        self._tool_terms = checked_terms(tools, {"repeat": "never"}, "tools")

    @property
    def in_durable_context(self) -> bool:
        """Whether a run records what the agent does."""
        return ENTERED.get() is not None

    def get_durable_operation_backend(self) -> DurableOperationBackend[StepTerms]:
        """What carries the agent's operations out as steps."""
        return Steps(self.name, self._model_terms, self._tool_terms)

    def get_default_run_id(self) -> str | None:
        """The same where the run enters again."""
        entered = ENTERED.get()
        return None if entered is None else entered.numbered(entered.name)

    def get_default_conversation_id(self, run_id: str) -> str | None:
        """The same where the run enters again."""
        return conversation_id_from_run_id(run_id) if self.in_durable_context else None

    async def get_run_start_time(self, run_id: str) -> datetime | None:
        """When the agent's run began, for its ``timeout=``: recorded, so that it goes on over crashes."""
        entered = ENTERED.get()
        if entered is None:
            return None
        call = entered.numbered(f"{run_id}.start")
        return datetime.fromisoformat(
            await entered.run.step(f"{self.name}__run_start_time", _now, repeat="freely", call=call)
        )


def _now() -> str:
    return datetime.now(UTC).isoformat()
