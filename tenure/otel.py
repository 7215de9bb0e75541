"""Traces of a host for OpenTelemetry (extra ``otel``): accepts, runs, steps, sends and asks as spans, linked over restarts.

    async with tenure.open_supervisor("agents.db", behaviours=behaviours) as supervisor:
        tenure.otel.trace(supervisor)

The context of the request that accepts an input is stored with it, as a ``traceparent``: each execution of its run links to it,
on whichever host that is. docs/tracing.md has the names.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextvars import Token
from typing import Any, Final, Generic, Protocol, TypeVar, final

from opentelemetry import context as contexts
from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TracerProvider,
    get_current_span,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tenure.persistence.model.events.happenings import (
    AcceptEnded,
    AcceptOutcome,
    Happening,
    RunEntered,
    RunExited,
    RunOutcome,
    StepEntered,
    StepExited,
    StepOutcome,
)
from tenure.persistence.seams.hooks import Carry, Hook

__all__ = ["trace"]

SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"

OPT_IN: Final = "gen_ai_latest_experimental"
"""In ``OTEL_SEMCONV_STABILITY_OPT_IN``: runs and calls of tools have the names of the GenAI conventions, v0.1.0."""

REMEMBERED: Final = 10_000
"""Spans of runs that were left and may go on here, and accepts on their way, that are remembered at most."""

BAD: Final = (RunOutcome.RETRIED, RunOutcome.FAILED, RunOutcome.HELD)

BOUNDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Of the buckets of durations, in seconds, as the GenAI conventions have them."""

_PROPAGATOR: Final = TraceContextTextMapPropagator()


class Traced(Protocol):
    """A supervisor of any front."""

    def add_hook(self, hook: Hook, *, carry: Carry | None = None) -> None:
        """See `tenure.Supervisor.add_hook`."""
        ...


def trace(
    supervisor: Traced, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> None:
    """Make spans of what a host does from now on. From any thread.

    With the GenAI conventions it measures how long agents and tools take, too.

    Args:
        supervisor: That of `tenure`, of `tenure.asyncio` or of `tenure.sync`.
        tracer_provider: Where spans go; None for the global one.
        meter_provider: Where durations go; None for the global one.
    """
    tracing = _Tracing(tracer_provider, meter_provider)
    supervisor.add_hook(tracing.hear, carry=tracing.carry)


@final
class _Tracing:
    """The spans of one host. Everything is called on its loop, in the task that the span is of."""

    def __init__(self, provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        self._tracer = get_tracer("tenure", tracer_provider=provider, schema_url=SCHEMA)
        self._gen_ai = OPT_IN in os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")
        self._durations = _Durations(meter_provider) if self._gen_ai else None
        self._calls: set[tuple[str, str]] = set()
        self._accepts = _Remembered[Span]()
        self._left = _Remembered[SpanContext]()
        self._open: dict[tuple[str, ...], tuple[Span, Token[contexts.Context]]] = {}
        self._hear: Mapping[type[Happening], Callable[[Any], None]] = {
            AcceptEnded: self._accept_ended,
            RunEntered: self._run_entered,
            RunExited: self._run_exited,
            StepEntered: self._step_entered,
            StepExited: self._step_exited,
        }

    def hear(self, happening: Happening) -> None:
        """See `Hook`."""
        hear = self._hear.get(type(happening))
        if hear is not None:
            hear(happening)

    # Messages

    def carry(self, verb: str, runtime_id: str, kind: str, above: str | None) -> str | None:
        """See `Carry`. The span of an accept ends when it has landed; those of others mark a moment."""
        parent = None if above is None else _context_of(above)
        named = {"messaging.destination.name": kind} if kind else {}
        span = self._tracer.start_span(
            f"{verb} {kind}".rstrip(),
            context=parent,
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": "tenure",
                "messaging.operation.name": verb,
                "messaging.operation.type": "send",
                **named,
                "tenure.runtime.id": runtime_id,
            },
        )
        carried = _traceparent(span)
        if verb != "accept":
            span.end()
        elif carried is not None:
            self._accepts.put(carried, span)
        return carried

    def _accept_ended(self, happening: AcceptEnded) -> None:
        span = None if happening.traceparent is None else self._accepts.take(happening.traceparent)
        if span is None:
            return
        span.set_attribute("tenure.accept.outcome", str(happening.outcome))
        if happening.input_id is not None:
            span.set_attribute("messaging.message.id", happening.input_id)
        if happening.outcome is AcceptOutcome.REFUSED:
            _failed(span, happening.reason)
        span.end()

    # Runs

    def _run_entered(self, happening: RunEntered) -> None:
        links = [Link(found) for each in happening.traceparents if (found := _span_of(each)) is not None]
        before = self._left.take(happening.run_id)
        if before is not None:
            links.append(Link(before, {"tenure.link": "goes on"}))
        attributes: dict[str, str | int | bool] = {
            "messaging.system": "tenure",
            "messaging.operation.name": "run",
            "messaging.operation.type": "process",
            "messaging.destination.name": happening.kind,
            "tenure.runtime.id": happening.runtime_id,
            "tenure.run.id": happening.run_id,
            "tenure.run.attempt": happening.attempt,
            "tenure.run.again": happening.again,
            "tenure.fence": happening.fence_token,
            "tenure.generation": happening.generation,
        }
        if len(happening.input_ids) == 1:
            attributes["messaging.message.id"] = happening.input_ids[0]
        else:
            attributes["messaging.batch.message_count"] = len(happening.input_ids)
        name, kind = f"run {happening.kind}", SpanKind.CONSUMER
        if self._gen_ai:
            name, kind = f"invoke_agent {happening.kind}", SpanKind.INTERNAL
            attributes["gen_ai.operation.name"] = "invoke_agent"
            attributes["gen_ai.agent.name"] = happening.kind
            attributes["gen_ai.conversation.id"] = happening.runtime_id
        span = self._tracer.start_span(name, context=contexts.Context(), kind=kind, attributes=attributes, links=links)
        self._enter(("run", happening.run_id), span)

    def _run_exited(self, happening: RunExited) -> None:
        span = self._exit(("run", happening.run_id))
        if span is None:
            return
        span.set_attribute("tenure.run.outcome", str(happening.outcome))
        failed = str(happening.outcome) if happening.outcome in BAD else None
        if failed is not None:
            _failed(span, failed)
        if self._durations is not None:
            self._durations.of_agent(happening.kind, happening.seconds, failed)
        if happening.outcome not in (RunOutcome.FINISHED, RunOutcome.FAILED, RunOutcome.CANCELLED):
            self._left.put(happening.run_id, span.get_span_context())
        span.end()

    # Steps

    def _step_entered(self, happening: StepEntered) -> None:
        attributes: dict[str, str | int] = {
            "tenure.runtime.id": happening.runtime_id,
            "tenure.run.id": happening.run_id,
            "tenure.step.name": happening.name,
            "tenure.step.place": happening.place,
            "tenure.step.attempt": happening.attempt,
        }
        name = f"step {happening.name}"
        if self._gen_ai and happening.call is not None:
            name = f"execute_tool {happening.name}"
            attributes["gen_ai.operation.name"] = "execute_tool"
            attributes["gen_ai.tool.name"] = happening.name
            attributes["gen_ai.tool.call.id"] = happening.call
            self._calls.add((happening.run_id, happening.place))
        span = self._tracer.start_span(name, kind=SpanKind.INTERNAL, attributes=attributes)
        self._enter(("step", happening.run_id, happening.place), span)

    def _step_exited(self, happening: StepExited) -> None:
        span = self._exit(("step", happening.run_id, happening.place))
        if span is None:
            return
        span.set_attribute("tenure.step.outcome", str(happening.outcome))
        failed = happening.reason if happening.outcome is StepOutcome.FAILED else None
        if failed is not None:
            _failed(span, failed)
        if (happening.run_id, happening.place) in self._calls:
            self._calls.discard((happening.run_id, happening.place))
            if self._durations is not None:
                self._durations.of_tool(happening.name, happening.seconds, failed)
        span.end()

    # What is current in a task: code of the behaviour, and what instruments its clients, makes spans below it

    def _enter(self, key: tuple[str, ...], span: Span) -> None:
        self._open[key] = span, contexts.attach(set_span_in_context(span))

    def _exit(self, key: tuple[str, ...]) -> Span | None:
        span, token = self._open.pop(key, (None, None))
        if token is not None:
            contexts.detach(token)
        return span


@final
class _Durations:
    """How long agents and tools take, by the GenAI conventions."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = get_meter("tenure", meter_provider=provider, schema_url=SCHEMA)
        self._agents = meter.create_histogram(
            "gen_ai.invoke_agent.duration",
            "s",
            "How long one execution of a run took.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._tools = meter.create_histogram(
            "gen_ai.execute_tool.duration",
            "s",
            "How long one attempt of a step took that carries out a call of a tool.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )

    def of_agent(self, name: str, seconds: float, failed: str | None) -> None:
        self._agents.record(seconds, _labels("invoke_agent", "gen_ai.agent.name", name, failed))

    def of_tool(self, name: str, seconds: float, failed: str | None) -> None:
        self._tools.record(seconds, _labels("execute_tool", "gen_ai.tool.name", name, failed))


def _labels(operation: str, key: str, name: str, failed: str | None) -> dict[str, str]:
    labels = {"gen_ai.operation.name": operation, key: name}
    return labels if failed is None else {**labels, "error.type": failed}


V = TypeVar("V")


@final
class _Remembered(Generic[V]):
    """A few values by key; the oldest goes for a newer one."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, V] = OrderedDict()

    def put(self, key: str, value: V) -> None:
        self._values[key] = value
        if len(self._values) > REMEMBERED:
            self._values.popitem(last=False)

    def take(self, key: str) -> V | None:
        return self._values.pop(key, None)


def _failed(span: Span, reason: str) -> None:
    span.set_attribute("error.type", reason)
    span.set_status(StatusCode.ERROR, reason)


def _traceparent(span: Span) -> str | None:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, set_span_in_context(span))
    return carrier.get("traceparent")


def _context_of(traceparent: str) -> contexts.Context:
    return _PROPAGATOR.extract({"traceparent": traceparent}, contexts.Context())


def _span_of(traceparent: str) -> SpanContext | None:
    found = get_current_span(_context_of(traceparent)).get_span_context()
    return found if found.is_valid else None
