"""``tenure console``: the store in a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tenure.cli.command import perform
from tenure.cli.output import Output
from tenure.cli.upkeep.keys import seams
from tenure.errors import InvalidInput, Unsupported
from tenure.persistence.upkeep.look import look_into

if TYPE_CHECKING:
    from .pages import Console

VARIABLE: Final = "TENURE_CONSOLE_TOKEN"


@click.command("console")
@click.option("--json", is_flag=True, help="Print JSON instead of text.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(1, 65_535), help="Port to listen at.")
@click.option(
    "--token-file", metavar="FILE", type=click.Path(readable=False), help=f"Has the token; else {VARIABLE} may have it."
)
@click.option("--allow-verbs", is_flag=True, help="Let it hold, resume, retry, stop and the like; else it only reads.")
@click.option("--no-content", is_flag=True, help="Show no payload, message, result, state or output.")
@click.argument("target", type=click.Path(readable=False))
def console(
    target: str,
    *,
    json: bool,
    host: str,
    port: int,
    token_file: str | None,
    allow_verbs: bool,
    no_content: bool,
) -> None:
    """Show the store TARGET in a browser, host running or not, until interrupted. Needs the extra ``console``."""
    made: list[Console] = []

    async def prepare(output: Output) -> None:
        try:
            from .serving import console_at  # noqa: PLC0415 - an extra
        except ImportError as exc:
            raise Unsupported(what="the console without pip install 'tenure[console]'") from exc
        token = os.environ.get(VARIABLE) if token_file is None else _token(token_file)
        shown, link = console_at(target, host, port, token, allow_verbs=allow_verbs, content=not no_content)
        async with look_into(target, seams=seams()):
            made.append(shown)
        output.facts("Console", {"link": link})
        sys.stdout.flush()

    code = perform(Output(json=json), prepare)
    if code:
        sys.exit(code)
    from .serving import serve  # noqa: PLC0415 - an extra

    serve(made[0], host, port)


def _token(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as exc:
        raise InvalidInput(detail=f"it cannot be read: {exc}", field="--token-file") from exc
