"""The verbs of a runtime's life as commands: for one runtime, or for all that a selector chooses.

For many they print what they would do, and do it with --yes; called again, they go on where they were cut off.
"""

from __future__ import annotations

from functools import partial
from typing import Unpack

import click

from tenure.cli.output import Output
from tenure.cli.upkeep.erase import shown as shown_erasure
from tenure.cli.upkeep.keys import seams
from tenure.cli.verbs import carry_out, json_of
from tenure.errors import InvalidInput
from tenure.supervisor.handles.handle import Handle
from tenure.supervisor.handles.selection import REASONS, Selection, retry_all
from tenure.supervisor.runs.recording.verdicts import DidNotRun, Ran, Verdict
from tenure.supervisor.visiting import visit

from .selecting import Selector, chosen_one, for_all, selecting

_yes = click.option("--yes", is_flag=True, help="For many: do it, and do not only say it.")


@selecting
@_yes
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime", required=False)
async def retire(
    output: Output, target: str, runtime: str | None, *, yes: bool, **selector: Unpack[Selector]
) -> int | None:
    """Let RUNTIME, or each that is chosen, accept nothing new and drain what it has."""
    if (one := chosen_one(runtime, selector)) is not None:
        await carry_out(output, target, one, "retire", lambda handle: handle.retire())
        return None
    return await for_all(output, target, selector, lambda chosen, dry_run: chosen.retire(dry_run=dry_run), yes=yes)


@selecting
@_yes
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime", required=False)
async def stop(
    output: Output, target: str, runtime: str | None, *, yes: bool, **selector: Unpack[Selector]
) -> int | None:
    """Abandon every unfinished input of RUNTIME, or of each that is chosen; it runs nothing until it is spawned again."""
    if (one := chosen_one(runtime, selector)) is not None:
        await carry_out(output, target, one, "stop", lambda handle: handle.stop())
        return None
    return await for_all(output, target, selector, lambda chosen, dry_run: chosen.stop(dry_run=dry_run), yes=yes)


@click.option("--clear-session", is_flag=True, help="Empty the conversation of RUNTIME too.")
@selecting
@_yes
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime", required=False)
async def reset(
    output: Output,
    target: str,
    runtime: str | None,
    *,
    clear_session: bool,
    yes: bool,
    **selector: Unpack[Selector],
) -> int | None:
    """Abandon every unfinished input of RUNTIME, or of each that is chosen and has some, and begin its next life."""
    if (one := chosen_one(runtime, selector)) is not None:
        await carry_out(output, target, one, "reset", lambda handle: handle.reset(clear_session=clear_session))
        return None
    if clear_session:
        raise InvalidInput(detail="it is for one runtime", field="--clear-session")
    return await for_all(output, target, selector, lambda chosen, dry_run: chosen.reset(dry_run=dry_run), yes=yes)


@click.option("--erase", is_flag=True, help="Erase everything that RUNTIME has ever held.")
@click.option("--peers", is_flag=True, help="With --erase, what other runtimes have from it too.")
@selecting
@click.option("--yes", is_flag=True, help="Yes, for ever.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime", required=False)
async def destroy(
    output: Output,
    target: str,
    runtime: str | None,
    *,
    erase: bool,
    peers: bool,
    yes: bool,
    **selector: Unpack[Selector],
) -> int | None:
    """Abandon every unfinished input of RUNTIME, or of each that is chosen, for ever: ids never come back. Needs --yes."""
    one = chosen_one(runtime, selector)
    if one is None:
        if erase or peers:
            raise InvalidInput(detail="they are for one runtime", field="--erase")
        return await for_all(output, target, selector, lambda chosen, dry_run: chosen.destroy(dry_run=dry_run), yes=yes)
    if not yes:
        raise InvalidInput(detail="destroying cannot be undone; say --yes", field="--yes")

    async def destroy(handle: Handle) -> dict[str, object] | None:
        erasure = await handle.destroy(erase=erase, peers=peers)
        return None if erasure is None else shown_erasure(erasure)

    await carry_out(output, target, one, "destroy", destroy)
    return None


@selecting
@_yes
@click.option("--note", metavar="TEXT", default="", help="Why; `tenure why` says it.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime", required=False)
async def hold(
    output: Output, target: str, runtime: str | None, *, note: str, yes: bool, **selector: Unpack[Selector]
) -> int | None:
    """Keep RUNTIME, which may come later, a kind, or each that is chosen from beginning anything, until it is resumed.

    --kind alone is of the kind: of every runtime that it has, also of those that come later. It ends by resume --kind.
    """
    one, kind = chosen_one(runtime, selector), _kind_alone(selector)
    if one is None and kind is None:
        return await for_all(
            output, target, selector, lambda chosen, dry_run: chosen.hold(note, dry_run=dry_run), yes=yes
        )
    async with visit(target, seams=seams()) as supervisor:
        placed = await supervisor.hold(one, kind=kind, note=note)
    output.facts("Done", {"runtime_id": one, "kind": kind, "verb": "hold", "done": True, "was_on_hold": not placed})
    return None


@click.option("--fresh", is_flag=True, help="Begin a new run; what must not be done twice is carried over.")
@click.option("--version", metavar="VERSION", help="Let this version of its behaviour go on, also an older one.")
@click.option("--reason", type=click.Choice(REASONS), help="In place of INPUT_ID: every dead letter with this reason.")
@selecting
@_yes
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime", required=False)
@click.argument("input_id", required=False)
async def retry(
    output: Output,
    target: str,
    runtime: str | None,
    input_id: str | None,
    *,
    fresh: bool,
    version: str | None,
    reason: str | None,
    yes: bool,
    **selector: Unpack[Selector],
) -> int | None:
    """Queue the dead letter INPUT_ID of RUNTIME again, or send it again.

    Or every one with a reason, of RUNTIME or of each that is chosen.
    """
    one = chosen_one(runtime, selector)
    if (input_id is None) is (reason is None):
        raise InvalidInput(detail="name one INPUT_ID, or say which by --reason", field="INPUT_ID")
    if one is None:
        if reason is None:
            raise InvalidInput(detail="an INPUT_ID is of one RUNTIME", field="RUNTIME")
        many = partial(Selection.retry, reason=reason, fresh=fresh, version=version)
        return await for_all(output, target, selector, lambda chosen, dry_run: many(chosen, dry_run=dry_run), yes=yes)
    if input_id is not None:
        await carry_out(
            output, target, one, "retry", partial(Handle.retry, input_id=input_id, fresh=fresh, version=version)
        )
        return None
    async with visit(target, seams=seams()) as supervisor:
        handle = await supervisor.find(one)
        queued = await retry_all(supervisor.store, handle, str(reason), fresh=fresh, version=version)
    output.facts("Done", {"runtime_id": one, "verb": "retry", "done": True, "answer": list(queued)})
    return None


def _kind_alone(selector: Selector) -> str | None:
    kind = selector["kind"]
    return kind if not any(value for name, value in selector.items() if name != "kind") else None


@click.option("--restart-run", is_flag=True, help="Begin a new run; what must not be done twice is carried over.")
@click.option("--take-recorded", is_flag=True, help="Go on with what is recorded, whatever its arguments are now.")
@click.option("--renamed", nargs=2, multiple=True, metavar="OLD NEW", help="An entry has another name from now on.")
@click.option("--forget", multiple=True, metavar="ENTRY", help="Take an entry out of the record, by name or place.")
@click.option("--repeat-never", is_flag=True, help="Forget also what must not be done twice. Needs --yes.")
@click.option("--version", metavar="VERSION", help="Let this version of its behaviour go on, also an older one.")
@click.option("--ran", nargs=2, multiple=True, metavar="PLACE JSON", help="A step in doubt ran, with this result.")
@click.option("--did-not-run", multiple=True, metavar="PLACE", help="A step in doubt did not run.")
@click.option("--hold", is_flag=True, help="End the hold of RUNTIME, and leave the held mark alone.")
@selecting
@click.option("--yes", is_flag=True, help="Yes, do it twice; and for many, do it.")
@click.argument("target", type=click.Path(readable=False))
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
    yes: bool,
    **selector: Unpack[Selector],
) -> int | None:
    """Let the held RUNTIME, or each that is chosen, run again, perhaps with another record of its run; or end holds.

    --kind alone ends the hold of that kind.
    """
    one, kind = chosen_one(runtime, selector), _kind_alone(selector)
    if one is None:
        if any((restart_run, take_recorded, renamed, forget, repeat_never, version, ran, did_not_run)):
            raise InvalidInput(detail="another record is for one run", field="RUNTIME")
        if kind is None:
            verb = partial(Selection.resume, hold=hold)
            return await for_all(
                output, target, selector, lambda chosen, dry_run: verb(chosen, dry_run=dry_run), yes=yes
            )
        async with visit(target, seams=seams()) as supervisor:
            ended = await supervisor.resume(kind=kind)
        output.facts("Done", {"kind": kind, "verb": "resume", "done": ended})
        return None
    if repeat_never and not yes:
        raise InvalidInput(detail="what must not be done twice would be done again; say --yes", field="--yes")

    verdicts: dict[str, Verdict] = {place: Ran(json_of(result)) for place, result in ran}
    if twice := [place for place in did_not_run if place in verdicts]:
        raise InvalidInput(detail=f"{twice[0]} ran, or it did not", field="--did-not-run")
    verdicts |= {place: DidNotRun() for place in did_not_run}

    changed = any((restart_run, take_recorded, renamed, forget, repeat_never, version, verdicts))
    facts: dict[str, object] = {"runtime_id": one, "verb": "resume", "done": True}
    async with visit(target, seams=seams()) as supervisor:
        if hold and not changed:  # as it is placed: also on one that is not there yet
            facts["was_on_hold"] = await supervisor.resume(one)
        else:
            handle = await supervisor.find(one)
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
            if on_hold := (await supervisor.why(one))["on_hold"]:
                facts["still_on_hold"] = on_hold
                output.note(
                    "it stays on hold: resume --hold ends the hold of a runtime, resume --kind that of its kind"
                )
    output.facts("Done", facts)
    return None
