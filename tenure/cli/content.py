"""``tenure inbox``, ``messages``, ``state`` and ``hosts``: read only, host running or not.

Content is printed where it is what was asked for (`messages`, `state`), and else with ``--content`` alone.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any, Final

import attrs
import click

from tenure.cli.upkeep.keys import seams
from tenure.errors import Corrupt, KeyMissing, NotFound, Unreadable
from tenure.persistence.commits.upkept import BELOW_ALL
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.codec import decode
from tenure.persistence.model.values import check_runtime_id
from tenure.persistence.upkeep.listing import HostLine, InboxLine, list_hosts, list_inbox
from tenure.persistence.upkeep.look import Look, look_into
from tenure.persistence.upkeep.one_runtime.why import explain

from .output import Output

_INBOX: Final = (
    "input_id",
    "lane",
    "phase",
    "kind",
    "attempts",
    "size",
    "idempotency_key",
    "due_at",
    "deadline_at",
    "error",
)
_ENDED: Final = (
    "input_id",
    "lane",
    "phase",
    "reason",
    "kind",
    "attempts",
    "correlation_id",
    "traceparent",
    "idempotency_key",
    "error",
)
_MESSAGES: Final = ("number", "message")
_STATE: Final = ("name", "value")
_HOSTS: Final = (
    "incarnation",
    "host_name",
    "pid",
    "state",
    "drain",
    "runtimes",
    "kinds",
    "max_owned",
    "durability",
    "opened_at",
)


@click.option("--all", "ended", is_flag=True, help="Those that have ended too, with how.")
@click.option("--content", is_flag=True, help="The payloads, and the results of the inputs.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def inbox(output: Output, target: str, runtime: str, *, ended: bool, content: bool) -> None:
    """List the unfinished inputs of RUNTIME in the store TARGET, in their order."""
    wanted = check_runtime_id(runtime)
    found: list[InboxLine] = []
    async with look_into(target, seams=seams()) as look:
        while True:
            after = found[-1].admission if found else BELOW_ALL
            page = await look.read(partial(list_inbox, runtime_id=wanted, after=after, ended=ended))
            found += page
            if not page:
                break
        if found and not ended and not output.json:
            with suppress(Unreadable):  # what waits is listed all the same
                told = await look.read(partial(explain, runtime_id=wanted, now=look.now(), no_host=look.alone))
                if told["owner"] is None:
                    output.note(told["because"])
    lines = [{**attrs.asdict(each), "payload": _shown(each.payload), "result": _shown(each.result)} for each in found]
    for line in lines:
        if not content:
            del line["payload"], line["result"]
        if not output.json:  # where an error was raised is for JSON
            line["error"] = str(line["error"] or "").partition("\n")[0]
    columns = _ENDED if ended else _INBOX
    output.rows("Inbox", (*columns, "payload", "result") if content else columns, lines)


@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def messages(output: Output, target: str, runtime: str) -> None:
    """Print the conversation of RUNTIME in the store TARGET, first message to last."""
    wanted = check_runtime_id(runtime)
    async with look_into(target, seams=seams()) as look:
        path = await look.read(partial(sessions.path_of_runtime, runtime_id=wanted))
    if path is None:
        raise NotFound(what="conversation of runtime", key=runtime)
    lines = [{"number": number, "message": _shown(message)} for number, message in enumerate(path, start=1)]
    output.rows("Messages", _MESSAGES, lines)


@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def state(output: Output, target: str, runtime: str) -> None:
    """Print what RUNTIME in the store TARGET keeps between its runs, by name."""
    async with look_into(target, seams=seams()) as look:
        found = await look.read(partial(own_state.find, runtime_id=check_runtime_id(runtime)))
    if found is None:
        raise NotFound(what="runtime", key=runtime)
    lines = [{"name": name, "value": _shown(value)} for name, value in sorted(found.values.items())]
    if output.json:
        output.facts("State", {"revision": found.revision, "values": {each["name"]: each["value"] for each in lines}})
    else:
        output.rows(f"State at revision {found.revision}", _STATE, lines)


@click.option("--all", "every", is_flag=True, help="Those that have gone too.")
@click.argument("target", type=click.Path(readable=False))
async def hosts(output: Output, target: str, *, every: bool) -> None:
    """List the hosts that have the store TARGET open: how many runtimes each owns and may own, and whether it drains."""
    found: list[HostLine] = []
    async with look_into(target, seams=seams()) as look:
        while page := await look.read(partial(list_hosts, after=found[-1].host if found else -1)):
            found += page
        lines = [{**attrs.asdict(each), "state": _state_of(each, look)} for each in found]
    output.rows("Hosts", _HOSTS, [line for line in lines if every or line["state"] == "open"])


def _state_of(host: HostLine, look: Look) -> str:
    if host.closed_at is not None:
        return "closed"
    return "lost" if host.lost_at is not None or look.alone else "open"


def _shown(data: bytes | None) -> Any:
    """Stored content for people: JSON as what it is, anything else as the bytes that it is."""
    if data is None:
        return None
    try:
        return decode(data, "content", "")
    except KeyMissing as exc:
        return {"sealed": exc.key_id}
    except Corrupt:
        return {"bytes": data.hex()}
