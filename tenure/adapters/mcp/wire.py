"""Tasks as they go over the wire, and their ids."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from mcp_types import INTERNAL_ERROR, CallToolResult, ErrorData, TextContent
from pydantic import ValidationError

from tenure import AbandonReason, InputPhase, Outcome

_TASK_ID: Final = re.compile(r"([0-9a-f]{11,12})-[A-Za-z0-9_-]{32}")


@attrs.frozen(kw_only=True)
class Asking:
    """What a run waits for from its client: since when (unix seconds), and which requests are open, by key."""

    at: float
    round: str
    requests: Mapping[str, Any]


def new_task_id(created_ms: int) -> str:
    """An id that cannot be guessed: the time at which the task is made, in unix ms, and 192 random bits."""
    return f"{created_ms:011x}-{secrets.token_urlsafe(24)}"


def created_ms(task_id: str) -> int | None:
    """When the task of an id was made, in unix ms; None where the id is not one of ours."""
    found = _TASK_ID.fullmatch(task_id)
    return None if found is None else int(found[1], 16)


def describe(
    task_id: str, created: int, poll_interval_ms: int, status: str, updated: float | None = None
) -> dict[str, Any]:
    """What every answer says of a task that was made at `created`, unix ms, and changed at `updated`, unix seconds."""
    made = created / 1000
    return {
        "taskId": task_id,
        "status": status,
        "createdAt": _text(made),
        "lastUpdatedAt": _text(made if updated is None else max(made, updated)),
        "ttlMs": None,
        "pollIntervalMs": poll_interval_ms,
    }


def is_kept(outcome: Outcome) -> bool:
    """Whether the result of a call that has ended is there still: it goes with the records of its run."""
    return outcome.phase is not InputPhase.CONSUMED or outcome.receipt is not None


def ended(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """The status of a task that has ended, and what is inlined with it."""
    if outcome.phase is InputPhase.SUPERSEDED or outcome.reason == AbandonReason.CANCELLED:
        return "cancelled", {}
    result = result_of(outcome)
    if isinstance(result, ErrorData):
        return "failed", {"error": result.model_dump(by_alias=True, mode="json", exclude_none=True)}
    return "completed", {"result": dump(result)}


def result_of(outcome: Outcome) -> CallToolResult | ErrorData:
    """What the tool has returned or said, or that it has not run to its end."""
    if outcome.reason == AbandonReason.REJECTED:
        return failure(outcome.error or AbandonReason.REJECTED)
    if outcome.phase not in {InputPhase.CONSUMED, InputPhase.COALESCED}:
        # what went wrong is for the operators of the server: `tenure why`
        return ErrorData(code=INTERNAL_ERROR, message=f"the tool could not be run: {outcome.reason}")
    try:
        return CallToolResult.model_validate(outcome.result)
    except ValidationError:
        return ErrorData(code=INTERNAL_ERROR, message="the behaviour of the tool is not made by tool_behaviour")


def result_for(value: Any) -> CallToolResult:
    """The result of a tool that a value is. Raises `TypeError` or `ValueError` where it has no JSON form."""
    if isinstance(value, CallToolResult):
        return value
    if value is None:
        return CallToolResult(content=[])
    if isinstance(value, str):
        return CallToolResult(content=[_content(value)])
    text = _content(json.dumps(value, ensure_ascii=False, allow_nan=False))
    return CallToolResult(content=[text], structured_content=value if isinstance(value, dict) else None)


def failure(words: str) -> CallToolResult:
    """The result of a tool that says what is wrong."""
    return CallToolResult(content=[_content(words)], is_error=True)


def dump(result: CallToolResult) -> dict[str, Any]:
    """A result as JSON."""
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


def _content(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
