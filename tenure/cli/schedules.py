"""``tenure schedules``: inputs that come by a timetable; what they say, what became of their instants, and their verbs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, NotRequired, TypedDict, Unpack, final

import attrs
import click

from tenure.cli.upkeep.keys import seams
from tenure.errors import InvalidInput, NotFound
from tenure.persistence.model.timetable import Cron, Every, Timetable, spelled
from tenure.supervisor.handles.schedule_terms import Schedule
from tenure.supervisor.handles.schedules import Schedules
from tenure.supervisor.visiting import visit

from .command import command
from .output import Output

_COLUMNS: Final = ("schedule_id", "runtime_id", "when", "next_at", "paused_at", "refusals", "note")
_OCCURRENCES: Final = (
    "number",
    "local_time",
    "scheduled_at",
    "decided_at",
    "input_id",
    "skipped",
    "detail",
    "triggered",
)


@final
class _Terms(TypedDict):
    cron: NotRequired[str | None]
    timezone: NotRequired[str | None]
    every: NotRequired[float | None]
    kind: NotRequired[str | None]
    overlap: NotRequired[str | None]
    catch_up: NotRequired[str | None]
    catch_up_s: NotRequired[float | None]
    jitter_s: NotRequired[float | None]


def _when(terms: _Terms) -> Timetable | None:
    cron, every, timezone = terms.get("cron"), terms.get("every"), terms.get("timezone")
    if (cron is not None and every is not None) or (timezone is not None and cron is None):
        raise InvalidInput(detail="say --cron TEXT, with its --timezone, or --every SECONDS", field="--cron")
    if cron is not None:
        return Cron(cron, timezone=timezone or "UTC")
    return None if every is None else Every(every)


def _given(terms: _Terms) -> dict[str, Any]:
    names = ("kind", "overlap", "catch_up", "catch_up_s", "jitter_s")
    return {name: terms.get(name) for name in names if terms.get(name) is not None}


def _payload(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise InvalidInput(detail=f"it is not JSON: {exc}", field="payload") from exc


def _facts(schedule: Schedule) -> dict[str, object]:
    facts = {each.name: getattr(schedule, each.name) for each in attrs.fields(Schedule)}
    return {**facts, "when": spelled(schedule.when)}


async def _carry_out(target: str, verb: Callable[[Schedules], Awaitable[Any]]) -> Any:
    async with visit(target, seams=seams()) as supervisor:
        return await verb(supervisor.schedules)


@click.argument("target", type=click.Path(readable=False))
async def list_all(output: Output, target: str) -> None:
    """List the schedules of the store TARGET."""
    found: tuple[Schedule, ...] = await _carry_out(target, lambda schedules: schedules.list())
    output.rows("Schedules", _COLUMNS, [_facts(each) for each in found])


@click.argument("target", type=click.Path(readable=False))
@click.argument("schedule")
async def show(output: Output, target: str, schedule: str) -> None:
    """Show SCHEDULE with its payload."""
    output.facts("Schedule", _facts(await _carry_out(target, lambda schedules: schedules.get(schedule))))


@click.option("--limit", "-n", default=100, show_default=True, type=click.IntRange(min=1), help="At most so many.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("schedule")
async def occurrences(output: Output, target: str, schedule: str, *, limit: int) -> None:
    """List what became of the instants of SCHEDULE, the newest first."""
    found = await _carry_out(target, lambda schedules: schedules.occurrences(schedule, limit))
    output.rows("Occurrences", _OCCURRENCES, [attrs.asdict(each) for each in found])


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of create and update."""
    for option in (
        click.option(
            "--jitter", "jitter_s", type=float, metavar="SECONDS", help="How late an input is by chance, at most."
        ),
        click.option("--catch-up-s", type=float, metavar="SECONDS", help="How late an instant may be made good."),
        click.option(
            "--catch-up", type=click.Choice(["all", "latest", "none"]), help="Which late instants are made good."
        ),
        click.option("--overlap", type=click.Choice(["skip", "queue"]), help="While the last input is unfinished."),
        click.option("--kind", metavar="KIND", help="Make RUNTIME, of this kind, where it is not there yet."),
        click.option("--every", type=float, metavar="SECONDS", help="Every so many seconds, from now on."),
        click.option("--timezone", metavar="ZONE", help="Of the expression, such as Europe/Berlin."),
        click.option("--cron", metavar="TEXT", help="A cron expression, such as '0 8 * * 1-5'."),
    ):
        function = option(function)
    return function


@_options
@click.option("--replace-existing", is_flag=True, help="Where there is one with other terms, give it these.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("schedule")
@click.argument("runtime")
@click.argument("payload", metavar="JSON")
async def create(
    output: Output,
    target: str,
    schedule: str,
    runtime: str,
    payload: str,
    *,
    replace_existing: bool,
    **terms: Unpack[_Terms],
) -> None:
    """Make SCHEDULE: by --cron or --every, put the payload JSON into the inbox of RUNTIME."""
    when = _when(terms)
    if when is None:
        raise InvalidInput(detail="say --cron TEXT or --every SECONDS", field="--cron")
    data = _payload(payload)
    given: dict[str, Any] = {**_given(terms), "replace_existing": replace_existing}
    made = await _carry_out(target, lambda schedules: schedules.create(schedule, runtime, when, data, **given))
    output.facts("Made", _facts(made))


@_options
@click.option("--payload", metavar="JSON", help="The payload of every input from now on.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("schedule")
async def update(output: Output, target: str, schedule: str, *, payload: str | None, **terms: Unpack[_Terms]) -> None:
    """Change what SCHEDULE says."""
    given, when = _given(terms), _when(terms)
    if when is not None:
        given["when"] = when
    if payload is not None:
        given["payload"] = _payload(payload)
    output.facts("Updated", _facts(await _carry_out(target, lambda schedules: schedules.update(schedule, **given))))


@click.option("--note", default="", help="Why, for people.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("schedule")
async def pause(output: Output, target: str, schedule: str, *, note: str) -> None:
    """Let the instants of SCHEDULE become no inputs until it is resumed."""
    done = await _carry_out(target, lambda schedules: schedules.pause(schedule, note))
    output.facts("Paused", {"schedule_id": schedule, "changed": done})


@click.argument("target", type=click.Path(readable=False))
@click.argument("schedule")
async def resume(output: Output, target: str, schedule: str) -> None:
    """Let SCHEDULE go on."""
    done = await _carry_out(target, lambda schedules: schedules.resume(schedule))
    output.facts("Resumed", {"schedule_id": schedule, "changed": done})


@click.argument("target", type=click.Path(readable=False))
@click.argument("schedule")
async def trigger(output: Output, target: str, schedule: str) -> None:
    """Make one input of SCHEDULE now, beside its timetable."""
    output.facts("Triggered", attrs.asdict(await _carry_out(target, lambda schedules: schedules.trigger(schedule))))


@click.argument("target", type=click.Path(readable=False))
@click.argument("schedule")
async def delete(output: Output, target: str, schedule: str) -> None:
    """Delete SCHEDULE with its occurrences; its inputs stay."""
    if not await _carry_out(target, lambda schedules: schedules.delete(schedule)):
        raise NotFound(what="schedule", key=schedule)
    output.facts("Deleted", {"schedule_id": schedule, "changed": True})


def add_to(app: click.Group) -> None:
    """Put the commands under ``schedules``."""
    group = click.Group("schedules", help="Inputs that come by a timetable.")
    app.add_command(group)
    verbs: list[tuple[str, Any]] = [
        ("list", list_all),
        ("show", show),
        ("occurrences", occurrences),
        ("create", create),
        ("update", update),
        ("pause", pause),
        ("resume", resume),
        ("trigger", trigger),
        ("delete", delete),
    ]
    for name, verb in verbs:
        command(group, name)(verb)
