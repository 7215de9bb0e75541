"""The verbs of runtimes as commands: carried out by the host that owns the runtime, or here where none does.

Each opens the store as a host without behaviours: it takes nothing over, stores what is asked as a request, and waits for the
answer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final, NotRequired, TypedDict, Unpack, final

import click
import trio

from tenure.cli.upkeep.keys import seams
from tenure.errors import Error, InvalidInput
from tenure.persistence.model.values import InputPhase, Lane, check_runtime_id
from tenure.persistence.upkeep.listing import find_input
from tenure.persistence.upkeep.look import look_into
from tenure.supervisor.accepting.tickets import Outcome, Ticket
from tenure.supervisor.handles.foreign import ForeignRuntime
from tenure.supervisor.handles.handle import Handle
from tenure.supervisor.handles.runtime import Runtime
from tenure.supervisor.runs.recording.verdicts import (
    DidNotRun,
    Ran,
    Verdict,
)
from tenure.supervisor.supervisor import Supervisor
from tenure.supervisor.visiting import visit

from .command import labels_of
from .exits import REFUSED
from .output import Output, time_of

Verb = Callable[[Handle], Awaitable[object]]

NOTE_S: Final = 5.0
"""After so many seconds without an end a note says why."""


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
    async with visit(target, seams=seams()) as supervisor:
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
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
@click.argument("labels", metavar="[NAME=VALUE]...", nargs=-1)
async def relabel(
    output: Output, target: str, runtime: str, labels: tuple[str, ...], *, remove: tuple[str, ...]
) -> None:
    """Set labels of RUNTIME, and remove others; those that are not named stay."""
    given = labels_of(labels, "NAME=VALUE")
    await carry_out(output, target, runtime, "relabel", lambda handle: handle.relabel(given, remove=remove))


@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def recycle(output: Output, target: str, runtime: str) -> None:
    """Bring the retired RUNTIME back to work with all that it holds."""
    await carry_out(output, target, runtime, "recycle", lambda handle: handle.recycle())


@click.option("--in-run", is_flag=True, help="INPUT_ID also where the current run has it; that run ends.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
@click.argument("input_id", required=False)
async def cancel(output: Output, target: str, runtime: str, input_id: str | None, *, in_run: bool) -> None:
    """End the current run of RUNTIME and abandon its batch; or abandon one input, INPUT_ID, that no run has."""

    async def verb(handle: Handle) -> bool:
        is_cancelled = await handle.cancel(input_id, in_run=in_run)
        if input_id is not None and not is_cancelled:  # it has ended, or a run has it; or the id is mistyped
            async with look_into(target, seams=seams()) as look:
                await look.read(partial(find_input, runtime_id=check_runtime_id(runtime), input_id=input_id))
        return is_cancelled

    await carry_out(output, target, runtime, "cancel", verb)


@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
@click.argument("input_id")
async def drop(output: Output, target: str, runtime: str, input_id: str) -> None:
    """Let the dead letter INPUT_ID of RUNTIME go: its content is gone, its key stays known."""
    await carry_out(output, target, runtime, "drop", lambda handle: handle.drop(input_id))


@click.option("--ran", metavar="JSON", help="It ran, with this result.")
@click.option("--did-not-run", is_flag=True, help="It did not run, and is dispatched again.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
@click.argument("place")
async def settle_step(
    output: Output, target: str, runtime: str, place: str, *, ran: str | None, did_not_run: bool
) -> None:
    """Say whether the step of RUNTIME at PLACE, which is in doubt, ran, and let RUNTIME run again."""
    if (ran is None) is not did_not_run:
        raise InvalidInput(detail="say --ran JSON or --did-not-run", field="--ran")
    verdict: Verdict = DidNotRun() if ran is None else Ran(json_of(ran))
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
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
@click.argument("payload", metavar="JSON")
async def accept(output: Output, target: str, runtime: str, payload: str, **terms: Unpack[_Terms]) -> int | None:
    """Put the payload JSON into the inbox of RUNTIME; it is on disk when this ends."""
    return await _accept(output, target, runtime, payload, Lane.QUEUE, **terms)


@click.option("--kind", metavar="KIND", help="Make RUNTIME, of this kind, where it is not there yet.")
@click.option("--key", metavar="TEXT", help="Idempotency key: the same again is taken once, and has the same result.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
@click.argument("payload", metavar="JSON")
async def ask(
    output: Output, target: str, runtime: str, payload: str, *, kind: str | None, key: str | None
) -> int | None:
    """Put the payload JSON into the inbox of RUNTIME, wait until it has ended, and print its result as JSON."""
    async with visit(target, seams=seams()) as supervisor:
        ticket = await supervisor.accept(runtime, json_of(payload, "payload"), kind=kind, idempotency_key=key)
        outcome = await _outcome(output, supervisor, ticket)
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
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
@click.argument("payload", metavar="JSON")
async def steer(output: Output, target: str, runtime: str, payload: str, **terms: Unpack[_Terms]) -> int | None:
    """Send the payload JSON to the run that RUNTIME executes, at its next checkpoint: an answer, an approval."""
    return await _accept(output, target, runtime, payload, Lane.STEER, **terms)


async def _accept(
    output: Output, target: str, runtime: str, payload: str, lane: Lane, **terms: Unpack[_Terms]
) -> int | None:
    data, kind, wait = json_of(payload, "payload"), terms.get("kind"), terms["wait"]
    async with visit(target, seams=seams()) as supervisor:
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
        outcome = await _outcome(output, supervisor, ticket) if wait else ticket.outcome
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


async def _outcome(output: Output, supervisor: Supervisor, ticket: Ticket) -> Outcome:
    """How an input ends. Where that lasts, a note says why, once: no host may be there that would run it."""
    with trio.move_on_after(NOTE_S):
        return await ticket.wait_outcome()
    try:
        because = (await supervisor.why(ticket.runtime_id))["because"]
    except Error as exc:  # the input is on disk, and its end is waited for all the same
        because = str(exc)
    output.note(f"it is on disk, and has not ended after {NOTE_S:g} s: {because}")
    return await ticket.wait_outcome()


def _time(text: str | None, field: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = time_of(text)
    except ValueError as exc:
        raise InvalidInput(detail="it is not a time such as 2027-01-31T08:00+01:00", field=field) from exc
    if at.tzinfo is None:
        raise InvalidInput(detail=f"it says no moment without its offset: {at.isoformat()}Z is UTC", field=field)
    return at


def json_of(text: str, field: str = "--ran") -> Any:
    """What a command line has as JSON. Raises `InvalidInput`."""
    try:
        return json.loads(text)
    except ValueError as exc:
        raise InvalidInput(
            detail=f"it is not JSON ({exc}); a text is quoted: '{json.dumps(text)}'", field=field
        ) from exc
