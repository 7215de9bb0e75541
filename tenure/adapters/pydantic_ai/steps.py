"""What an agent asks for, carried out as steps of the run that it is asked for in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, Literal, TypeVar, cast, final

from pydantic_ai.durable_exec import (
    JSON_CODEC,
    BoundDurableOperation,
    CallToolResult,
    CapabilityOperationId,
    DurableOperation,
    DurableOperationBackend,
    JournalOperationNamer,
    ModelRequestId,
    ToolsetCallToolId,
    durable_unit_scope,
)
from pydantic_ai.tools import ToolDefinition
from pydantic_core import PydanticSerializationError, to_jsonable_python

from tenure import Ran
from tenure.adapters.checking import check_value
from tenure.errors import InvalidInput

from .entering import ENTERED, KEY

ParamsT = TypeVar("ParamsT")
WireT = TypeVar("WireT")
ResultT = TypeVar("ResultT")

StepTerms = Mapping[str, Any]
"""``repeat`` and the terms of `tenure.Run.step`: ``attempts``, ``backoff_s``, ``timeout_s`` and so on."""

METADATA: Final = "tenure"
"""The key in the metadata of a tool under which its own terms stand: ``metadata={"tenure": {"repeat": "freely"}}``."""

_REPEATS: Final = ("freely", "keyed", "never")

AGAIN: Final[StepTerms] = {"repeat": "freely"}


def returned(value: object) -> Ran:
    """The verdict on a step of a tool that it ran, and returned this: for `in_doubt` hooks, and `settle_step`.

    A hook finds the arguments of the tool in ``step.arguments``, as the only one of them.

    Raises:
        InvalidInput: The value has no JSON form.
    """
    try:
        payload = {"kind": "tool_return", "result": to_jsonable_python(value)}
    except PydanticSerializationError as exc:
        raise InvalidInput(detail=str(exc), field="value") from exc
    JSON_CODEC.load(CallToolResult, payload)  # as the agent will
    return Ran(payload)


@final
class Steps(DurableOperationBackend[StepTerms]):
    """Carries operations out as steps of the run that they are asked for in."""

    def __init__(self, agent: str, model: StepTerms, tools: StepTerms) -> None:
        self._namer = JournalOperationNamer(agent)
        self._model = model
        self._tools = tools

    def bind(
        self, operation: DurableOperation[ParamsT, WireT, ResultT]
    ) -> BoundDurableOperation[ParamsT, WireT, ResultT]:
        """See the framework."""
        return Step(operation, self._namer, self._terms_of(operation))

    def config_for_tool(
        self, operation: DurableOperation[ParamsT, WireT, ResultT], *, tool: object | None, tool_name: str
    ) -> StepTerms | Literal[False]:
        """The terms of a tool; False where its metadata wants no step."""
        terms = self._terms_of(operation)
        if not isinstance(operation.operation_id, ToolsetCallToolId):
            return terms
        definition = cast("ToolDefinition | None", getattr(tool, "tool_def", None))
        own = None if definition is None else (definition.metadata or {}).get(METADATA)
        if own is False:
            return False
        if own is not None and not isinstance(own, Mapping):
            raise InvalidInput(detail=f"the terms of {tool_name} are a dict, or False", field="metadata")
        return {**terms, **cast("StepTerms", own or {})}

    def registrations(self) -> tuple[()]:
        """There are none."""
        return ()

    def _terms_of(self, operation: DurableOperation[Any, Any, Any]) -> StepTerms:
        """Validation, discovery and handlers of events may be done again; all else has terms that the user gave."""
        if isinstance(operation.operation_id, ToolsetCallToolId | CapabilityOperationId):
            return self._tools
        return self._model if isinstance(operation.operation_id, ModelRequestId) else AGAIN


@final
class Step(BoundDurableOperation[ParamsT, WireT, ResultT], Generic[ParamsT, WireT, ResultT]):
    """One operation, called any number of times."""

    def __init__(
        self, operation: DurableOperation[ParamsT, WireT, ResultT], namer: JournalOperationNamer, terms: StepTerms
    ) -> None:
        self._operation = operation
        self._namer = namer
        self._terms = terms

    @property
    def operation(self) -> DurableOperation[ParamsT, WireT, ResultT]:
        """See the framework."""
        return self._operation

    async def __call__(self, params: ParamsT, *, config: object | None = None) -> ResultT:
        """Carry it out, or give back what is recorded; outside of a run it is carried out and that is all."""
        entered = ENTERED.get()
        if entered is None:
            return await self._operation.handler(params)
        label = self._operation.invocation_label
        named = self._namer.invocation_name(
            self._operation.operation_id, label=None if label is None else label(params)
        )
        context: Any = getattr(params, "ctx", None) or getattr(params, "run_context", None)
        call = ".".join(
            str(part)
            for part in (getattr(context, "run_id", None), getattr(context, "tool_call_id", None), named.operation_name)
            if part is not None
        )
        terms = dict(self._terms if config is None else cast("StepTerms", config))
        # For people and hooks. They follow from what is recorded, and comparing them would find the address of an object.
        terms.setdefault("compare", False)
        arguments = getattr(params, "tool_args", None)
        shown = () if arguments is None else (to_jsonable_python(arguments, serialize_unknown=True),)
        payload = await entered.run.step(
            named.operation_name, self._body(params), *shown, call=entered.numbered(call), **cast("Any", terms)
        )
        return self._operation.result_codec.load(payload)

    def _body(self, params: ParamsT) -> Callable[..., Awaitable[object]]:
        async def body(*_: object, key: str | None = None) -> object:
            # What is asked for inside is a part of this step, also where a tool runs another agent.
            outside, keyed = ENTERED.set(None), KEY.set(key)
            try:
                with durable_unit_scope():
                    return self._operation.result_codec.dump(await self._operation.handler(params))
            finally:
                ENTERED.reset(outside)
                KEY.reset(keyed)

        return body


def checked_terms(given: StepTerms | None, default: StepTerms, name: str) -> StepTerms:
    """Terms as they are. Raises `InvalidInput` for what are none."""
    terms: Any = default if given is None else given
    check_value(terms, Mapping[str, Any], name)
    if terms.get("repeat") not in _REPEATS:
        raise InvalidInput(detail='it is a dict with "repeat", and terms of run.step', field=name)
    return cast("StepTerms", terms)
