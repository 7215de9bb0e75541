"""The verbs of runtimes as commands: carried out by the host that owns the runtime, or here where none does.

Each opens the store as a host without behaviours: it takes nothing over, stores what is asked as a request, and waits for the
answer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NotRequired, TypedDict, Unpack, final

import click

from tenure.errors import InvalidInput
from tenure.persistence.model.values import InputPhase, Lane
from tenure.supervisor.handles.foreign import ForeignRuntime
from tenure.supervisor.handles.handle import Handle
from tenure.supervisor.handles.runtime import Runtime
from tenure.supervisor.runs.recording.verdicts import (
    DidNotRun,
    Ran,
    Verdict,
)
from tenure.supervisor.visiting import visit

from .command import labels_of
from .exits import REFUSED
from .output import Output
from .upkeep.erase import shown as shown_erasure

Verb = Callable[[Handle], Awaitable[object]]


@final
class _Terms(TypedDict):
    """The options of accept and steer."""

    kind: NotRequired[str | None]
    label: NotRequired[tuple[str, ...]]
    key: str | None
    answers: str | None
    deadline: float | None
    at: NotRequired[str | None]
    after: NotRequired[float | None]
    wait: bool


@asynccontextmanager
async def handle_of(target: str, runtime: str) -> AsyncGenerator[Runtime | ForeignRuntime]:
    """The handle of a runtime of such a store."""
    async with visit(target) as supervisor:
        yield await supervisor.find(runtime)


async def carry_out(output: Output, target: str, runtime: str, name: str, verb: Verb) -> None:
    """Have a verb carried out and print what came of it."""
    async with handle_of(target, runtime) as handle:
        answer = await verb(handle)
    facts: dict[str, object] = {"runtime_id": runtime, "verb": name, "done": True}
    if answer is not None:
        facts["answer"] = answer
    output.facts("Done", facts)


@click.option("--remove", multiple=True, metavar="NAME", help="Remove this label; again for several.")
@click.argument("target", type=click.Path())
@click.argument("runtime")
@click.argument("labels", metavar="[NAME=VALUE]...", nargs=-1)
async def relabel(
    output: Output, target: str, runtime: str, labels: tuple[str, ...], *, remove: tuple[str, ...]
) -> None:
    """Set labels of RUNTIME, and remove others; those that are not named stay."""
    given = labels_of(labels, "NAME=VALUE")
    await carry_out(output, target, runtime, "relabel", lambda handle: handle.relabel(given, remove=remove))


@click.argument("target", type=click.Path())
@click.argument("runtime")
async def retire(output: Output, target: str, runtime: str) -> None:
    """Let RUNTIME accept nothing new and drain what it has."""
    await carry_out(output, target, runtime, "retire", lambda handle: handle.retire())


@click.option("--clear-session", is_flag=True, help="Empty the conversation too.")
@click.argument("target", type=click.Path())
@click.argument("runtime")
async def reset(output: Output, target: str, runtime: str, *, clear_session: bool) -> None:
    """Abandon every unfinished input of RUNTIME and begin its next life."""
    await carry_out(output, target, runtime, "reset", lambda handle: handle.reset(clear_session=clear_session))


@click.argument("target", type=click.Path())
@click.argument("runtime")
async def stop(output: Output, target: str, runtime: str) -> None:
    """Abandon every unfinished input of RUNTIME; it runs nothing until it is spawned again."""
    await carry_out(output, target, runtime, "stop", lambda handle: handle.stop())


@click.argument("target", type=click.Path())
@click.argument("runtime")
async def recycle(output: Output, target: str, runtime: str) -> None:
    """Bring the retired RUNTIME back to work with all that it holds."""
    await carry_out(output, target, runtime, "recycle", lambda handle: handle.recycle())


@click.option("--erase", is_flag=True, help="Erase everything that it has ever held.")
@click.option("--peers", is_flag=True, help="With --erase, what other runtimes have from it too.")
@click.option("--yes", is_flag=True, help="Yes, for ever.")
@click.argument("target", type=click.Path())
@click.argument("runtime")
async def destroy(output: Output, target: str, runtime: str, *, erase: bool, peers: bool, yes: bool) -> None:
    """Abandon every unfinished input of RUNTIME for ever: its id never comes back. Needs --yes."""
    if not yes:
        raise InvalidInput(detail="destroying cannot be undone; say --yes", field="--yes")

    async def destroy(handle: Handle) -> dict[str, object] | None:
        erasure = await handle.destroy(erase=erase, peers=peers)
        return None if erasure is None else shown_erasure(erasure)

    await carry_out(output, target, runtime, "destroy", destroy)


@click.option("--restart-run", is_flag=True, help="Begin a new run; what must not be done twice is carried over.")
@click.option("--take-recorded", is_flag=True, help="Go on with what is recorded, whatever its arguments are now.")
@click.option("--renamed", nargs=2, multiple=True, metavar="OLD NEW", help="An entry has another name from now on.")
@click.option("--forget", multiple=True, metavar="ENTRY", help="Take an entry out of the record, by name or place.")
@click.option("--repeat-never", is_flag=True, help="Forget also what must not be done twice. Needs --yes.")
@click.option("--version", metavar="VERSION", help="Let this version of its behaviour go on, also an older one.")
@click.option("--ran", nargs=2, multiple=True, metavar="PLACE JSON", help="A step in doubt ran, with this result.")
@click.option("--did-not-run", multiple=True, metavar="PLACE", help="A step in doubt did not run.")
@click.option("--hold", is_flag=True, help="End the hold of RUNTIME, and leave the held mark alone.")
@click.option("--kind", metavar="KIND", help="End the hold of this kind; without RUNTIME.")
@click.option("--yes", is_flag=True, help="Yes, do it twice.")
@click.argument("target", type=click.Path())
@click.argument("runtime", required=False)
async def resume(  # noqa: PLR0913 - one for each option
    output: Output,
    target: str,
    runtime: str | None,
    *,
    restart_run: bool,
    take_recorded: bool,
    renamed: tuple[tuple[str, str], ...],
    forget: tuple[str, ...],
    repeat_never: bool,
    version: str | None,
    ran: tuple[tuple[str, str], ...],
    did_not_run: tuple[str, ...],
    hold: bool,
    kind: str | None,
    yes: bool,
) -> None:
    """Let the held RUNTIME run again, perhaps with another record of its run; or end the hold of a person."""
    if kind is not None or runtime is None:
        async with visit(target) as supervisor:
            ended = await supervisor.resume(runtime, kind=kind)
        output.facts("Done", {"kind": kind, "verb": "resume", "done": ended})
        return
    if repeat_never and not yes:
        raise InvalidInput(detail="what must not be done twice would be done again; say --yes", field="--yes")

    verdicts: dict[str, Verdict] = {place: Ran(_json(result)) for place, result in ran}
    if twice := [place for place in did_not_run if place in verdicts]:
        raise InvalidInput(detail=f"{twice[0]} ran, or it did not", field="--did-not-run")
    verdicts |= {place: DidNotRun() for place in did_not_run}

    async def resume(handle: Handle) -> None:
        await handle.resume(
            restart_run=restart_run,
            take_recorded=take_recorded,
            renamed=dict(renamed),
            forget=forget,
            repeat_never=repeat_never,
            version=version,
            settle=verdicts,
            hold=hold,
        )

    await carry_out(output, target, runtime, "resume", resume)


@click.option("--kind", metavar="KIND", help="Every runtime of this kind, also those that come later; without RUNTIME.")
@click.option("--note", metavar="TEXT", default="", help="Why; `tenure why` says it.")
@click.argument("target", type=click.Path())
@click.argument("runtime", required=False)
async def hold(output: Output, target: str, runtime: str | None, *, kind: str | None, note: str) -> None:
    """Keep RUNTIME, which may come later, or a kind from beginning anything, until it is resumed with --hold or --kind."""
    async with visit(target) as supervisor:
        placed = await supervisor.hold(runtime, kind=kind, note=note)
    output.facts("Done", {"runtime_id": runtime, "kind": kind, "verb": "hold", "done": True, "was_on_hold": not placed})


@click.argument("target", type=click.Path())
@click.argument("runtime")
@click.argument("input_id", required=False)
async def cancel(output: Output, target: str, runtime: str, input_id: str | None) -> None:
    """End the current run of RUNTIME and abandon its batch; or abandon one input, INPUT_ID, that no run has."""
    await carry_out(output, target, runtime, "cancel", lambda handle: handle.cancel(input_id))


@click.option("--fresh", is_flag=True, help="Begin a new run; what must not be done twice is carried over.")
@click.option("--version", metavar="VERSION", help="Let this version of its behaviour go on, also an older one.")
@click.argument("target", type=click.Path())
@click.argument("runtime")
@click.argument("input_id")
async def retry(output: Output, target: str, runtime: str, input_id: str, *, fresh: bool, version: str | None) -> None:
    """Queue the dead letter INPUT_ID of RUNTIME again, or send it again."""
    await carry_out(
        output, target, runtime, "retry", lambda handle: handle.retry(input_id, fresh=fresh, version=version)
    )


@click.argument("target", type=click.Path())
@click.argument("runtime")
@click.argument("input_id")
async def drop(output: Output, target: str, runtime: str, input_id: str) -> None:
    """Let the dead letter INPUT_ID of RUNTIME go: its content is gone, its key stays known."""
    await carry_out(output, target, runtime, "drop", lambda handle: handle.drop(input_id))


@click.option("--ran", metavar="JSON", help="It ran, with this result.")
@click.option("--did-not-run", is_flag=True, help="It did not run, and is dispatched again.")
@click.argument("target", type=click.Path())
@click.argument("runtime")
@click.argument("place")
async def settle_step(
    output: Output, target: str, runtime: str, place: str, *, ran: str | None, did_not_run: bool
) -> None:
    """Say whether the step of RUNTIME at PLACE, which is in doubt, ran, and let RUNTIME run again."""
    if (ran is None) is not did_not_run:
        raise InvalidInput(detail="say --ran JSON or --did-not-run", field="--ran")
    verdict: Verdict = DidNotRun() if ran is None else Ran(_json(ran))
    await carry_out(output, target, runtime, "settle_step", lambda handle: handle.settle_step(place, verdict))


@click.option("--kind", metavar="KIND", help="Make RUNTIME, of this kind, where it is not there yet.")
@click.option("--label", multiple=True, metavar="NAME=VALUE", help="With --kind: a label of the RUNTIME that is made.")
@click.option("--key", metavar="TEXT", help="Idempotency key: the same again is taken once.")
@click.option("--answers", metavar="ID", help="What it answers (correlation id).")
@click.option(
    "--deadline", type=float, metavar="SECONDS", help="Abandon it unless it is done so many seconds from now."
)
@click.option("--at", metavar="TIME", help="When it comes into the inbox: 2027-01-31T08:00+01:00.")
@click.option("--after", type=float, metavar="SECONDS", help="The same, in seconds from now.")
@click.option("--wait", is_flag=True, help="Wait until it has ended; ends with 1 where it was not consumed.")
@click.argument("target", type=click.Path())
@click.argument("runtime")
@click.argument("payload", metavar="JSON")
async def accept(output: Output, target: str, runtime: str, payload: str, **terms: Unpack[_Terms]) -> int | None:
    """Put the payload JSON into the inbox of RUNTIME; it is on disk when this ends."""
    return await _accept(output, target, runtime, payload, Lane.QUEUE, **terms)


@click.option("--kind", metavar="KIND", help="Make RUNTIME, of this kind, where it is not there yet.")
@click.option("--key", metavar="TEXT", help="Idempotency key: the same again is taken once, and has the same result.")
@click.argument("target", type=click.Path())
@click.argument("runtime")
@click.argument("payload", metavar="JSON")
async def ask(
    output: Output, target: str, runtime: str, payload: str, *, kind: str | None, key: str | None
) -> int | None:
    """Put the payload JSON into the inbox of RUNTIME, wait until it has ended, and print its result as JSON."""
    async with visit(target) as supervisor:
        ticket = await supervisor.accept(runtime, _json(payload, "payload"), kind=kind, idempotency_key=key)
        outcome = await ticket.wait_outcome()
    if outcome.phase != InputPhase.CONSUMED:
        output.facts("No answer", {"phase": outcome.phase, "reason": outcome.reason, "error": outcome.error})
        return REFUSED
    output.document(outcome.result)
    return None


@click.option("--key", metavar="TEXT", help="Idempotency key: the same again is taken once.")
@click.option("--answers", metavar="ID", help="What it answers (correlation id).")
@click.option(
    "--deadline", type=float, metavar="SECONDS", help="Abandon it unless it is done so many seconds from now."
)
@click.option("--wait", is_flag=True, help="Wait until it has ended; ends with 1 where it was not consumed.")
@click.argument("target", type=click.Path())
@click.argument("runtime")
@click.argument("payload", metavar="JSON")
async def steer(output: Output, target: str, runtime: str, payload: str, **terms: Unpack[_Terms]) -> int | None:
    """Send the payload JSON to the run that RUNTIME executes, at its next checkpoint: an answer, an approval."""
    return await _accept(output, target, runtime, payload, Lane.STEER, **terms)


async def _accept(
    output: Output, target: str, runtime: str, payload: str, lane: Lane, **terms: Unpack[_Terms]
) -> int | None:
    data, kind, wait = _json(payload, "payload"), terms.get("kind"), terms["wait"]
    async with visit(target) as supervisor:
        ticket = await supervisor.accept(
            runtime,
            data,
            kind=kind,
            labels=labels_of(terms.get("label", ())) or None,
            lane=lane,
            idempotency_key=terms["key"],
            correlation_id=terms["answers"],
            deadline_s=terms["deadline"],
            at=_time(terms.get("at"), "--at"),
            after_s=terms.get("after"),
        )
        outcome = await ticket.wait_outcome() if wait else ticket.outcome
    facts: dict[str, object] = {
        "runtime_id": runtime,
        "input_id": ticket.input_id,
        "deduplicated": ticket.deduplicated,
        "phase": None if outcome is None else outcome.phase,
        "reason": None if outcome is None else outcome.reason,
        "error": None if outcome is None else outcome.error,
        "result": None if outcome is None else outcome.result,
    }
    output.facts("Accepted", facts)
    return REFUSED if wait and outcome is not None and outcome.phase != InputPhase.CONSUMED else None


def _time(text: str | None, field: str) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise InvalidInput(detail="it is not a time such as 2027-01-31T08:00+01:00", field=field) from exc


def _json(text: str, field: str = "--ran") -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise InvalidInput(detail=f"it is not JSON: {exc}", field=field) from exc
