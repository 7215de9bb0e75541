"""``tenure list``, ``unowned``, ``show``, ``verify`` and ``dead-letters``: they change nothing, host running or not."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import Final

import attrs
import click

from tenure.cli.upkeep.keys import seams
from tenure.errors import NotFound
from tenure.persistence.commits.rows import PAGE
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.runs.dead_letters import (
    DeadLetter,
    of_runtime,
)
from tenure.persistence.model.labels import check_labels
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    RuntimeState,
    check_runtime_id,
)
from tenure.persistence.upkeep.inspect import (
    RuntimeLine,
    Wanted,
    list_runtimes,
    show_runtime,
)
from tenure.persistence.upkeep.look import (
    Look,
    look_into,
)
from tenure.persistence.upkeep.verify import (
    Finding,
    Verification,
    count_runtimes,
    runtime_ids,
    verify_runtime,
)
from tenure.persistence.upkeep.verify_store import (
    ATTACHMENTS,
    PartVerification,
    verify_bytes,
    verify_parts,
)
from tenure.supervisor.visiting import visit

from .command import labels_of
from .exits import REFUSED
from .output import Output
from .upkeep.receipts import compare

_LISTED: Final = (
    "runtime_id",
    "kind",
    "state",
    "held",
    "on_hold",
    "aside",
    "inputs",
    "generation",
    "fence_token",
    "owner",
    "labels",
)
_UNOWNED: Final = ("runtime_id", "kind", "unfinished_inputs", "because")
_STORED: Final = [each.value for each in RuntimeState if each not in (RuntimeState.ATTACHED, RuntimeState.RUNNING)]
_LETTERS: Final = ("runtime_id", "input_id", "reason", "target", "correlation_id", "attempts", "bytes", "error")
_VERIFIED: Final = (
    "runtime_id",
    "sound",
    "receipts",
    "links",
    "pruned",
    "nodes",
    "inputs",
    "erased",
    "problems",
    "not_recomputed",
)


@click.option("--held", is_flag=True, help="Those that are held, or that a person keeps on hold.")
@click.option("--kind", metavar="KIND", help="Those of this kind.")
@click.option("--state", type=click.Choice(_STORED), help="Those in this state, as it is stored.")
@click.option("--parent", metavar="RUNTIME", help="The children of this runtime.")
@click.option("--label", multiple=True, metavar="NAME=VALUE", help="Those with this label; again for several.")
@click.option("--after", metavar="RUNTIME", default="", help="Those with a higher id than this one: the next page.")
@click.option("--limit", type=click.IntRange(min=1), metavar="COUNT", help="At most so many.")
@click.argument("target", type=click.Path(readable=False))
async def list_all(
    output: Output,
    target: str,
    *,
    held: bool,
    kind: str | None,
    state: str | None,
    parent: str | None,
    label: tuple[str, ...],
    after: str,
    limit: int | None,
) -> None:
    """List the runtimes of the store TARGET, by id, each with how many of its inputs are unfinished."""
    wanted = Wanted(
        kind=kind,
        state=None if state is None else RuntimeState(state),
        held=held,
        parent=None if parent is None else check_runtime_id(parent),
        labels=check_labels(labels_of(label)),
    )
    lines: list[dict[str, object]] = []
    left = math.inf if limit is None else limit
    async with look_into(target, seams=seams()) as look:
        while left and (page := await look.read(partial(_page, after, min(left, PAGE), wanted))):
            lines += [_listed(line, json=output.json) for line in page]
            left, after = left - len(page), page[-1].runtime_id
    output.rows("Runtimes", _LISTED, lines)


def _listed(line: RuntimeLine, *, json: bool) -> dict[str, object]:
    shown: dict[str, object] = attrs.asdict(line)
    if not json:
        pairs = None if line.labels is None else [f"{name}={value}" for name, value in line.labels.items()]
        shown["labels"] = "(cannot be read)" if pairs is None else " ".join(pairs)
    return shown


def _page(after: str, count: float, wanted: Wanted, statements: Statements) -> list[RuntimeLine]:
    return list_runtimes(statements, after, int(count), wanted)


@click.argument("target", type=click.Path(readable=False))
async def unowned(output: Output, target: str) -> None:
    """List the runtimes of the store TARGET that have work and no living host, each with what keeps it from having one."""
    lines: list[dict[str, object]] = []
    async with visit(target, seams=seams()) as supervisor:
        for each in await supervisor.unowned():
            with suppress(NotFound):  # it went meanwhile
                why = await supervisor.why(each.runtime_id)
                wanted = {name: why[name] for name in ("because", "unfinished_inputs")}
                lines.append({"runtime_id": each.runtime_id, "kind": each.kind, **wanted})
    output.rows("Runtimes that no living host has", _UNOWNED, lines)


@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def show(output: Output, target: str, runtime: str) -> None:
    """Show what is stored of RUNTIME in the store TARGET, without its messages."""
    async with look_into(target, seams=seams()) as look:
        output.facts("Runtime", await look.read(partial(show_runtime, runtime_id=check_runtime_id(runtime))))


@click.option(
    "--receipts",
    "kept",
    metavar="FILE",
    type=click.Path(readable=False),
    help="Receipts that a client kept, a JSON object a line.",
)
@click.option(
    "--bytes", "whole", is_flag=True, help="Read the bytes of all attachments, and compare them with their ids."
)
@click.option(
    "--without-attachments",
    is_flag=True,
    help="Leave their bytes alone: of a copy whose folder is elsewhere.",
)
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime", required=False)
async def verify(
    output: Output, target: str, runtime: str | None, *, kept: str | None, whole: bool, without_attachments: bool
) -> int | None:
    """Walk the receipts of RUNTIME, or of every runtime of the store TARGET, and recompute what can be.

    Ends with 1 where something is wrong. What nothing stored can prove is said and is not a fault. With --receipts: say of each
    receipt in FILE whether it is there, beyond the head, pruned, or of another chain; ends with 1 where one is lost. Of a whole
    store it is also looked whether the bytes of attachments are there.
    """
    if kept is not None:
        return await compare(output, target, kept)
    async with look_into(target, seams=seams()) as look:
        wanted = await _ids(look) if runtime is None else [check_runtime_id(runtime)]
        found = [await look.read(partial(verify_runtime, runtime_id=each)) for each in wanted]
        nameless = await look.read(count_runtimes) - len(wanted) if runtime is None else 0
        parts = await verify_parts(look) if runtime is None else []
        if runtime is None and not without_attachments:
            parts = _with_bytes(parts, await verify_bytes(look, look.blobs, whole=whole))
    lines = [_line(each) for each in found] + ([_nameless(nameless)] if nameless > 0 else [])
    lines += [_part(each) for each in parts if each.streams or each.problems]
    output.rows("Verified", _VERIFIED, lines)
    return None if all(line["sound"] for line in lines) else REFUSED


@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime", required=False)
async def dead_letters(output: Output, target: str, runtime: str | None) -> None:
    """List the dead letters of RUNTIME, or of every runtime of the store TARGET, without their content."""
    lines: list[dict[str, object]] = []
    async with look_into(target, seams=seams()) as look:
        for each in await _ids(look) if runtime is None else [check_runtime_id(runtime)]:
            if runtime is not None:
                await look.read(partial(show_runtime, runtime_id=each))  # `NotFound` in place of an empty list
            after = InputId("")
            while page := await look.read(partial(of_runtime, runtime_id=each, after=after, count=PAGE)):
                after = page[-1].input_id
                lines += [_letter(each, letter) for letter in page]
    if not output.json:
        for line in lines:  # where an error was raised is for `show` and for JSON
            line["error"] = str(line["error"] or "").partition("\n")[0]
    output.rows("Dead letters", _LETTERS, lines)


def _letter(runtime_id: LogicalRuntimeId, letter: DeadLetter) -> dict[str, object]:
    line: dict[str, object] = {"runtime_id": runtime_id, **attrs.asdict(letter), "bytes": len(letter.payload)}
    del line["payload"]
    return line


async def _ids(look: Look) -> list[LogicalRuntimeId]:
    ids: list[LogicalRuntimeId] = []
    while page := await look.read(partial(runtime_ids, after=ids[-1] if ids else "")):
        ids += page
    return ids


def _nameless(count: int) -> dict[str, object]:
    problem = {"record": "runtime", "key": "", "detail": f"{count} rows whose id is not text"}
    line: dict[str, object] = {name: None for name in _VERIFIED}  # noqa: C420 - `fromkeys` gives narrower keys
    return line | {"sound": False, "problems": [problem], "not_recomputed": []}


def _with_bytes(parts: list[PartVerification], wrong: list[Finding]) -> list[PartVerification]:
    return [
        attrs.evolve(each, problems=(*each.problems, *wrong)) if each.part == ATTACHMENTS else each for each in parts
    ]


def _part(found: PartVerification) -> dict[str, object]:
    line: dict[str, object] = {name: None for name in _VERIFIED}  # noqa: C420 - `fromkeys` gives narrower keys
    none: list[object] = []
    return line | attrs.asdict(found) | {"sound": found.is_sound, "not_recomputed": none}


def _line(found: Verification) -> dict[str, object]:
    line: dict[str, object] = attrs.asdict(found)
    return line | {"sound": found.is_sound}
