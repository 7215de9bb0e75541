"""How values look on a page: times, contents, and texts of agents with all that cannot be seen escaped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tenure.cli.output import cell, visible
from tenure.errors import Corrupt, KeyMissing
from tenure.persistence.model.codec import decode
from tenure.persistence.model.texts import sealed_text
from tenure.persistence.model.timetable import spelled

TEMPLATES: Final = Path(__file__).with_name("templates")


def content_of(data: bytes | None) -> str | None:
    """Stored content for people: JSON, laid out; anything else as the bytes that it is. None for none."""
    if data is None:
        return None
    try:
        return json_of(decode(data, "content", ""))
    except KeyMissing as exc:
        return sealed_text(exc.key_id)
    except Corrupt:
        return f"bytes: {data.hex()}"


def json_of(value: Any) -> str:
    """A JSON value, laid out, with every character that cannot be seen escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "\n".join(visible(line) for line in text.split("\n"))


def first_line(text: str | None) -> str:
    """The first line of an error."""
    return (text or "").partition("\n")[0]


def environment() -> Environment:
    """Templates, in which every value is escaped for HTML."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"cell": _cell, "time": _time, "visible": _visible, "first_line": first_line, "spelled": spelled}
    return made


def _visible(value: object) -> str:
    return visible(str(value))


def _cell(value: object, column: str = "") -> str:
    return visible(cell(value, column))


def _time(value: float | None) -> str:
    return "" if value is None else cell(float(value), "_at")
