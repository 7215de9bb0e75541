"""Traces: spans of accepts, runs, steps, sends and asks, and their links, also over a host that was killed."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, final

import pytest
import trio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.semconv._incubating.attributes import messaging_attributes

import tenure
import tenure.asyncio
import tenure.otel
from tenure.errors import InvalidInput, StepFailed
from tests.architecture.tree import ROOT
from tests.kit.hosting import CutOff, cut_off, host, nothing
from tests.kit.processes import running
from tests.kit.traced_host import REACHED, described, provider

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Span = dict[str, Any]


@final
class Collected(SpanExporter):
    """The spans that have ended, in that order."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += [described(each) for each in spans]
        return SpanExportResult.SUCCESS

    def named(self, name: str) -> list[Span]:
        return [each for each in self.spans if each["name"] == name]


def place(span: Span) -> str:
    return f"{span['trace']}-{span['span']}"


@pytest.mark.slow
@pytest.mark.process
def test_a_run_that_a_killed_host_has_begun_is_linked_to_its_accept(tmp_path: Path) -> None:
    store, spans = tmp_path / "s.db", tmp_path / "spans.jsonl"
    call = [sys.executable, "-m", "tests.kit.traced_host", str(store), str(spans)]
    with running([*call, "accept"], cwd=ROOT) as first:
        assert first.stdout is not None
        assert first.stdout.readline().strip() == REACHED
        first.send_signal(signal.SIGKILL)
        first.wait()
    before = len(spans.read_text().splitlines())
    with running([*call, "go on"], cwd=ROOT) as second:
        assert second.wait() == 0
    found: list[Span] = [json.loads(line) for line in spans.read_text().splitlines()]
    of_first, of_second = found[:before], found[before:]

    (request,) = [each for each in of_first if each["name"] == "POST /ask"]
    (accept,) = [each for each in of_first if each["name"] == "accept asks"]
    assert (accept["kind"], accept["trace"], accept["parent"]) == ("PRODUCER", request["trace"], request["span"])
    assert accept["attributes"]["tenure.accept.outcome"] == "accepted"
    assert [each["name"] for each in of_first if each["name"] == "run asks"] == []  # it was cut off, and never ended
    (first_step,) = [each for each in found if each["name"] == "step first"]
    assert first_step in of_first

    (run,) = [each for each in of_second if each["name"] == "run asks"]
    assert (run["kind"], run["parent"], run["links"]) == ("CONSUMER", None, [place(accept)])
    assert run["attributes"]["tenure.run.again"] is True
    assert run["attributes"]["tenure.run.outcome"] == "finished"
    assert run["attributes"]["tenure.run.id"] == first_step["attributes"]["tenure.run.id"]
    (step,) = [each for each in of_second if each["name"] == "step second"]
    assert (step["trace"], step["parent"]) == (run["trace"], run["span"])

    (sent,) = [each for each in found if each["attributes"].get("messaging.operation.name") == "send"]
    assert sent["trace"] == first_step["trace"]  # that of the execution which was killed
    (heard,) = [each for each in found if each["name"] == "run hears"]
    assert heard["links"] == [place(sent)]


async def test_an_ask_and_what_it_asks_are_linked(autojump_clock: object, tmp_path: Path) -> None:
    collected = Collected()

    async def asks(run: tenure.Run) -> None:
        await run.ask("bob", "question")

    async with host(tmp_path / "s.db", {"asks": asks, "hears": nothing}) as supervisor:
        tenure.otel.trace(supervisor, provider(collected))
        await supervisor.spawn("bob", "hears")
        ann = await supervisor.spawn("ann", "asks")
        await (await ann.accept("hello")).wait_outcome()

    (ask,) = [each for each in collected.spans if each["attributes"].get("messaging.operation.name") == "ask"]
    (run,), (asked,) = collected.named("run asks"), collected.named("run hears")
    assert (ask["parent"], ask["trace"]) == (run["span"], run["trace"])
    assert asked["links"] == [place(ask)]


async def test_names_and_attributes_are_those_of_the_conventions_for_messaging(
    autojump_clock: object, tmp_path: Path
) -> None:
    collected = Collected()

    async def asks(run: tenure.Run) -> None:
        if len(run.inputs) == 1:
            run.send("bob", "word")
            await run.ask("bob", "question", "hears")

    async with host(tmp_path / "s.db", {"asks": tenure.Behaviour(asks, batch=2), "hears": nothing}) as supervisor:
        tenure.otel.trace(supervisor, provider(collected))
        await supervisor.spawn("bob", "hears")
        ann = await supervisor.spawn("ann", "asks")
        one = await ann.accept("hello")
        await one.wait_outcome()
        await ann.hold()
        two = [await ann.accept("a"), await ann.accept("b")]
        await supervisor.resume("ann")
        for each in two:
            await each.wait_outcome()

    known = {value for name, value in vars(messaging_attributes).items() if name.startswith("MESSAGING_")}
    spans = [{**each["attributes"], "name": each["name"]} for each in collected.spans]
    assert {each["name"] for each in spans} == {"accept asks", "send", "ask hears", "run asks", "run hears"}
    for each in spans:
        named = [each["messaging.operation.name"], each.get("messaging.destination.name")]
        assert each["name"] == " ".join(filter(None, named)), "a send without a kind knows no destination"
        assert each["messaging.operation.type"] == ("process" if each["name"].startswith("run ") else "send")
        assert {key for key in each if key.startswith("messaging.")} <= known
    alone, both = [each for each in spans if each["name"] == "run asks"]
    assert (alone["messaging.message.id"], alone.get("messaging.batch.message_count")) == (one.input_id, None)
    assert (both.get("messaging.message.id"), both["messaging.batch.message_count"]) == (None, 2)


async def test_a_run_that_was_put_aside_goes_on_in_a_span_that_links_to_the_one_before(
    autojump_clock: object, tmp_path: Path
) -> None:
    collected = Collected()

    async def sleeps(run: tenure.Run) -> None:
        await run.sleep(1000)

    behaviours = {"sleeps": tenure.Behaviour(sleeps, aside_after_s=10)}
    async with host(tmp_path / "s.db", behaviours) as supervisor:
        tenure.otel.trace(supervisor, provider(collected))
        ann = await supervisor.spawn("ann", "sleeps")
        await ann.accept("hello")
        await trio.sleep(2000)

    before, after = collected.named("run sleeps")
    (accept,) = collected.named("accept sleeps")
    assert [each["attributes"]["tenure.run.outcome"] for each in (before, after)] == ["aside", "finished"]
    assert before["links"] == [place(accept)]
    assert after["links"] == [place(accept), place(before)]
    assert after["trace"] != before["trace"]


async def test_what_fails_says_so(autojump_clock: object, tmp_path: Path) -> None:
    collected = Collected()

    async def fails(run: tenure.Run) -> None:
        await run.step("break", lambda: 1 / 0, repeat="never")

    behaviours = {"fails": tenure.Behaviour(fails, restart=tenure.RestartPolicy(max_attempts=1))}
    async with host(tmp_path / "s.db", behaviours) as supervisor:
        tenure.otel.trace(supervisor, provider(collected))
        ann = await supervisor.spawn("ann", "fails")
        await (await ann.accept("hello", idempotency_key="k")).wait_outcome()
        with pytest.raises(InvalidInput):
            await ann.accept("hello", idempotency_key="")

    (step,), (run,) = collected.named("step break"), collected.named("run fails")
    assert (step["status"], step["attributes"]["error.type"]) == ("ERROR", "ZeroDivisionError")
    assert (run["status"], run["attributes"]["error.type"]) == ("ERROR", "failed")
    refused = collected.named("accept fails")[-1]
    assert (refused["status"], refused["attributes"]["error.type"]) == ("ERROR", "InvalidInput")


async def test_with_the_opt_in_runs_and_calls_of_tools_have_the_names_of_gen_ai(
    autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http,gen_ai_latest_experimental")
    collected = Collected()

    async def agent(run: tenure.Run) -> None:
        await run.step("think", lambda: 1, repeat="freely")
        await run.step("search", lambda: 2, repeat="freely", call="call-1")

    async with host(tmp_path / "s.db", {"agent": agent}) as supervisor:
        tenure.otel.trace(supervisor, provider(collected))
        ann = await supervisor.spawn("ann", "agent")
        await (await ann.accept("hello")).wait_outcome()

    (run,), (tool,) = collected.named("invoke_agent agent"), collected.named("execute_tool search")
    assert run["kind"] == tool["kind"] == "INTERNAL"
    assert run["attributes"]["gen_ai.operation.name"] == "invoke_agent"
    assert run["attributes"]["gen_ai.agent.name"] == "agent"
    assert run["attributes"]["gen_ai.conversation.id"] == "ann"
    assert "gen_ai.agent.id" not in run["attributes"]
    assert (tool["attributes"]["gen_ai.tool.name"], tool["attributes"]["gen_ai.tool.call.id"]) == ("search", "call-1")
    assert tool["parent"] == run["span"]
    assert len(collected.named("step think")) == 1


def measured(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], int, float]]]:
    """Labels, count and sum of each histogram."""
    found: dict[str, list[tuple[dict[str, Any], int, float]]] = {}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points: Any = metric.data.data_points
                assert metric.unit == "s"
                found[metric.name] = [(dict(each.attributes), each.count, each.sum) for each in points]
    return found


@pytest.mark.parametrize("opted_in", [True, False])
async def test_with_the_opt_in_the_durations_of_agents_and_tools_are_measured(
    autojump_clock: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opted_in: bool,  # noqa: FBT001
) -> None:
    if opted_in:
        monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    reader = InMemoryMetricReader()

    async def agent(run: tenure.Run) -> None:
        await run.step("think", lambda: 1, repeat="freely")
        await run.step("search", lambda: 2, repeat="freely", call="call-1")
        with suppress(StepFailed):
            await run.step("buy", failing, repeat="freely", call="call-2")

    async with host(tmp_path / "s.db", {"agent": agent}) as supervisor:
        tenure.otel.trace(supervisor, provider(Collected()), MeterProvider([reader]))
        ann = await supervisor.spawn("ann", "agent")
        await (await ann.accept("hello")).wait_outcome()

    found = measured(reader)
    if not opted_in:
        assert found == {}
        return
    ((labels, count, seconds),) = found["gen_ai.invoke_agent.duration"]
    assert labels == {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "agent"}
    assert count == 1
    assert seconds > 0
    tools = {labels["gen_ai.tool.name"]: (labels, count) for labels, count, _ in found["gen_ai.execute_tool.duration"]}
    assert set(tools) == {"search", "buy"}, "what is no call of a tool is none"
    assert "error.type" not in tools["search"][0]
    assert tools["buy"][0]["error.type"] == "ZeroDivisionError"


def failing() -> None:
    raise ZeroDivisionError


async def test_spans_of_parallel_steps_are_below_their_run_and_none_is_left_open(
    autojump_clock: object, tmp_path: Path
) -> None:
    collected = Collected()

    async def agent(run: tenure.Run) -> None:
        await run.map("look", look, ["a", "b", "c"], repeat="freely")

    async def look(_: str) -> None:
        await trio.sleep(1)

    async def body(supervisor: tenure.Supervisor) -> None:
        tenure.otel.trace(supervisor, provider(collected))
        ann = await supervisor.spawn("ann", "agent")
        await (await ann.accept("hello")).wait_outcome()
        await ann.accept("cut")
        await trio.sleep(0.5)
        raise CutOff

    await cut_off(tmp_path / "s.db", {"agent": agent}, body)

    whole, cut = collected.named("run agent")
    assert [each["attributes"]["tenure.run.outcome"] for each in (whole, cut)] == ["finished", "cut"]
    steps = collected.named("step look")
    assert [each["parent"] for each in steps] == [whole["span"]] * 3 + [cut["span"]] * 3
    assert [each["attributes"]["tenure.step.outcome"] for each in steps] == ["succeeded"] * 3 + ["cut"] * 3


def test_the_span_of_a_request_in_asyncio_is_above_its_accept(tmp_path: Path) -> None:
    collected = Collected()
    traces = provider(collected)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}) as supervisor:
            tenure.otel.trace(supervisor, traces)
            ann = await supervisor.spawn("ann", "kind")
            with traces.get_tracer("request").start_as_current_span("GET /"):
                await (await ann.accept("hello")).wait_outcome()

    asyncio.run(main())

    (request,), (accept,) = collected.named("GET /"), collected.named("accept kind")
    assert accept["parent"] == request["span"]


async def test_without_tracing_a_traceparent_is_stored_shown_and_given_to_the_run(
    autojump_clock: object, tmp_path: Path
) -> None:
    seen: list[str | None] = []

    async def look(run: tenure.Run) -> None:
        seen.extend(each.traceparent for each in run.inputs)

    async with host(tmp_path / "s.db", {"kind": look}) as supervisor:
        await supervisor.hold("ann")
        ann = await supervisor.spawn("ann", "kind")
        ticket = await ann.accept("hello", traceparent=TRACEPARENT, correlation_id="order 7")
        (oldest,) = [(await supervisor.why("ann"))["oldest_input"]]
        stored = await supervisor.store.runtimes.load_input_state("ann", ticket.input_id)
        await supervisor.resume("ann")
        await ticket.wait_outcome()
        for wrong in (
            "",
            "00-0-0-0",
            f"{TRACEPARENT}\n",
            TRACEPARENT.upper(),
            TRACEPARENT.replace("b7ad6b7169203331", "0" * 16),
        ):
            with pytest.raises(InvalidInput):
                await ann.accept("hello", traceparent=wrong)

    assert seen == [TRACEPARENT]
    assert (oldest["traceparent"], oldest["correlation_id"]) == (TRACEPARENT, "order 7")
    assert stored is not None
    assert stored.state.traceparent == TRACEPARENT


@pytest.mark.parametrize("given", [None, "no context", 7], ids=["it raises", "a text", "a number"])
async def test_a_carrier_that_raises_or_gives_what_is_no_context_costs_nothing(
    autojump_clock: object, tmp_path: Path, caplog: pytest.LogCaptureFixture, given: Any
) -> None:
    carried: list[str | None] = []

    def carry(*_: object) -> Any:
        if given is None:
            raise ValueError("broken")
        return given

    def hook(_: tenure.Happening) -> None:
        pass

    async def sends(run: tenure.Run) -> None:
        carried.extend(each.traceparent for each in run.inputs)
        run.send("bob", "hello")
        await run.ask("bob", "question")

    async def hears(run: tenure.Run) -> None:
        carried.extend(each.traceparent for each in run.inputs)

    async with host(tmp_path / "s.db", {"sends": sends, "hears": hears}) as supervisor:
        supervisor.add_hook(hook, carry=carry)
        await supervisor.spawn("bob", "hears")
        ann = await supervisor.spawn("ann", "sends")
        outcome = await (await ann.accept("hello", traceparent=TRACEPARENT)).wait_outcome()
        await trio.sleep(10)

    assert outcome.phase == "consumed"
    assert carried == [TRACEPARENT, None, None]
    assert len([each for each in caplog.records if "a hook raised" in each.message]) == 1


async def test_an_accept_whose_context_is_refused_is_heard_of_as_any_other(
    autojump_clock: object, tmp_path: Path
) -> None:
    seen: list[tenure.Happening] = []

    def carry(*given: Any) -> Any:
        return given[-1]

    async with host(tmp_path / "s.db", {"kind": nothing}) as supervisor:
        supervisor.add_hook(seen.append, carry=carry)
        ann = await supervisor.spawn("ann", "kind")
        with pytest.raises(InvalidInput):
            await ann.accept("hello", traceparent="no context")

    (ended,) = [each for each in seen if isinstance(each, tenure.AcceptEnded)]
    assert (ended.outcome, ended.reason, ended.traceparent) == ("refused", "InvalidInput", None)
