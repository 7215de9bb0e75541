"""Options that choose runtimes, and what a command does for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypedDict, TypeVar, final

import click

from tenure.cli.command import labels_of
from tenure.cli.exits import REFUSED
from tenure.cli.output import Output
from tenure.cli.upkeep.keys import seams
from tenure.errors import InvalidInput
from tenure.persistence.model.values import RuntimeState
from tenure.supervisor.handles.selection import Selected, Selection
from tenure.supervisor.visiting import visit

C = TypeVar("C", bound=Callable[..., Any])

_STORED: Final = [each.value for each in RuntimeState if each not in (RuntimeState.ATTACHED, RuntimeState.RUNNING)]


@final
class Selector(TypedDict):
    """The options that choose runtimes, in place of one that is named."""

    kind: str | None
    label: tuple[str, ...]
    state: str | None
    parent: str | None
    held: bool


def selecting(body: C) -> C:
    """Give a command these options."""
    for option in (
        click.option("--held", is_flag=True, help="In place of RUNTIME: those that are held, or on hold."),
        click.option("--parent", metavar="RUNTIME", help="In place of RUNTIME: the children of this one."),
        click.option("--state", type=click.Choice(_STORED), help="In place of RUNTIME: those in this state."),
        click.option(
            "--label", multiple=True, metavar="NAME=VALUE", help="In place of RUNTIME: those with this label."
        ),
        click.option("--kind", metavar="KIND", help="In place of RUNTIME: those of this kind."),
    ):
        body = option(body)
    return body


def chosen_one(runtime: str | None, selector: Selector) -> str | None:
    """The runtime that is named; None where a selector chooses some. Raises `InvalidInput` for both, and for neither."""
    if (runtime is None) is not any(selector.values()):
        raise InvalidInput(detail="name one RUNTIME, or choose some by --kind, --label and so on", field="RUNTIME")
    return runtime


async def for_all(
    output: Output,
    target: str,
    selector: Selector,
    verb: Callable[[Selection, bool], Awaitable[Selected]],
    *,
    yes: bool,
) -> int | None:
    """Carry a verb out for all that are chosen, if `yes`; else say for which it would be. Ends with 1 where one was refused."""
    async with visit(target, seams=seams()) as supervisor:
        selection = supervisor.select(
            kind=selector["kind"],
            labels=labels_of(selector["label"]),
            state=None if selector["state"] is None else RuntimeState(selector["state"]),
            parent=selector["parent"],
            held=selector["held"],
        )
        answer = await verb(selection, not yes)
    facts: dict[str, object] = {
        "verb": answer.verb,
        "done": answer.done,
        "skipped": answer.skipped,
        "refused": answer.refused,
        "first": list(answer.first),
        "errors": {runtime_id: f"{type(error).__name__}: {error}" for runtime_id, error in answer.errors},
    }
    if not yes:
        facts |= {"dry_run": True, "say": "--yes"}
    output.facts("Done" if yes else "Would be done", facts)
    return REFUSED if answer.refused else None
