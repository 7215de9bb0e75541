"""A host that is traced, in a process of its own: each span that ends is a line of JSON in a file, written at once.

python -m tests.kit.traced_host STORE SPANS {accept,go on}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import trio
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import tenure
import tenure.otel

REACHED = "reached"


class Lines(SpanExporter):
    """Exports into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._path.open("a") as file:
            for span in spans:
                file.write(json.dumps(described(span)) + "\n")
        return SpanExportResult.SUCCESS


def described(span: ReadableSpan) -> dict[str, object]:
    context = span.get_span_context()
    assert context is not None
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace": f"{context.trace_id:032x}",
        "span": f"{context.span_id:016x}",
        "parent": None if span.parent is None else f"{span.parent.span_id:016x}",
        "links": [f"{each.context.trace_id:032x}-{each.context.span_id:016x}" for each in span.links],
        "attributes": dict(span.attributes or {}),
        "status": span.status.status_code.name,
    }


def provider(exporter: SpanExporter) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


async def asks(run: tenure.Run) -> None:
    await run.step("first", lambda: 1, repeat="freely")
    run.send("bob", "from ann")
    await run.checkpoint()
    await run.step("second", stands_still if sys.argv[3] == "accept" else goes_on, repeat="freely")


async def stands_still() -> None:
    sys.stdout.write(f"{REACHED}\n")
    sys.stdout.flush()
    await trio.sleep_forever()


async def goes_on() -> int:
    return 2


async def hears(run: tenure.Run) -> None:
    await run.step("hear", lambda: 3, repeat="freely")


async def main() -> None:
    behaviours = {"asks": asks, "hears": hears}
    traces = provider(Lines(Path(sys.argv[2])))
    async with tenure.open_supervisor(sys.argv[1], behaviours=behaviours) as supervisor:
        tenure.otel.trace(supervisor, traces)
        if sys.argv[3] == "accept":
            await supervisor.spawn("bob", "hears")
            ann = await supervisor.spawn("ann", "asks")
            with traces.get_tracer("request").start_as_current_span("POST /ask"):
                await ann.accept("hello", idempotency_key="once")
            await trio.sleep_forever()
        ann = await supervisor.spawn("ann", "asks", wait=True)
        await (await supervisor.ticket("ann", idempotency_key="once")).wait_outcome()


if __name__ == "__main__":
    trio.run(main)
