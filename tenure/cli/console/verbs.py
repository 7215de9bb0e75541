"""What may be done: the verbs of the command line, each with what its form asks for and what it warns of."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.values import Lane
from tenure.supervisor.runs.recording.verdicts import DidNotRun, Ran, Verdict
from tenure.supervisor.supervisor import Supervisor

Form = Mapping[str, str]

Act = Callable[[Supervisor, Form], Awaitable[object]]


@final
@frozen(kw_only=True)
class Verb:
    """One of them.

    Attributes:
        act: Carries it out.
        label: On its button.
        done: What is said when it is on disk.
        warns: What it takes away, asked before; empty for nothing.
        asks: The fields of its form beside what it is for, each with its label.
        typed: Whether the id must be typed again.
    """

    act: Act
    label: str
    done: str
    warns: str = ""
    asks: Mapping[str, str] = {}
    typed: bool = False


def _accept(lane: Lane) -> Act:
    async def act(supervisor: Supervisor, form: Form) -> object:
        payload, key = _json(form, "payload"), form.get("key") or None
        return await supervisor.accept(form["id"], payload, lane=lane, idempotency_key=key)

    return act


async def _settle(supervisor: Supervisor, form: Form) -> None:
    ran = form.get("result", "").strip()
    verdict: Verdict = Ran(_json(form, "result")) if ran else DidNotRun()
    handle = await supervisor.find(form["id"])
    await handle.settle_step(_given(form, "place"), verdict)


def _of_runtime(verb: Callable[[Any, Form], Awaitable[object]]) -> Act:
    async def act(supervisor: Supervisor, form: Form) -> object:
        return await verb(await supervisor.find(form["id"]), form)

    return act


def _of_schedule(verb: Callable[[Any, str], Awaitable[object]]) -> Act:
    async def act(supervisor: Supervisor, form: Form) -> object:
        return await verb(supervisor.schedules, form["id"])

    return act


def _given(form: Form, field: str) -> str:
    if not (found := form.get(field, "").strip()):
        raise InvalidInput(detail="it is empty", field=field)
    return found


def _json(form: Form, field: str) -> Any:
    try:
        return json.loads(_given(form, field))
    except ValueError as exc:
        raise InvalidInput(detail=f"it is not JSON: {exc}", field=field) from exc


_JSON: Final = "JSON"

VERBS: Final[Mapping[str, Verb]] = {
    "accept": Verb(
        act=_accept(Lane.QUEUE),
        label="Accept an input",
        done="The input is in the inbox.",
        asks={"payload": f"Payload, {_JSON}", "key": "Idempotency key, or empty"},
    ),
    "steer": Verb(
        act=_accept(Lane.STEER),
        label="Steer its run",
        done="The run is steered.",
        asks={"payload": f"Payload, {_JSON}", "key": "Idempotency key, or empty"},
    ),
    "hold": Verb(
        act=lambda supervisor, form: supervisor.hold(form["id"], note=form.get("note", "")),
        label="Hold",
        done="It is on hold.",
        asks={"note": "Why, for people"},
    ),
    "resume": Verb(act=_of_runtime(lambda each, _: each.resume()), label="Resume", done="It runs again."),
    "end-hold": Verb(
        act=_of_runtime(lambda each, _: each.resume(hold=True)), label="End the hold", done="The hold has ended."
    ),
    "settle": Verb(
        act=_settle,
        label="Settle a step in doubt",
        done="The step is settled.",
        warns="Say that a step ran, with its result, only where you have seen that it did.",
        asks={"place": "Place of the step", "result": f"Its result, {_JSON}, where it ran; empty where it did not run"},
    ),
    "cancel": Verb(
        act=_of_runtime(lambda each, form: each.cancel(form.get("input") or None)),
        label="Cancel",
        done="It is cancelled.",
        warns="The current run ends and its inputs are abandoned; or one input, that no run has.",
        asks={"input": "Id of the input; empty for the current run"},
    ),
    "retire": Verb(
        act=_of_runtime(lambda each, _: each.retire()),
        label="Retire",
        done="It accepts nothing new, and drains.",
        warns="It accepts nothing new until it is recycled.",
    ),
    "recycle": Verb(act=_of_runtime(lambda each, _: each.recycle()), label="Recycle", done="It works again."),
    "reset": Verb(
        act=_of_runtime(lambda each, form: each.reset(clear_session=form.get("clear") == "yes")),
        label="Reset",
        done="Its next life has begun.",
        warns="Every unfinished input is abandoned.",
        asks={"clear": "yes, to empty the conversation too"},
    ),
    "stop": Verb(
        act=_of_runtime(lambda each, _: each.stop()),
        label="Stop",
        done="It is stopped.",
        warns="Every unfinished input is abandoned, and it runs nothing until it is spawned again.",
    ),
    "destroy": Verb(
        act=_of_runtime(lambda each, _: each.destroy()),
        label="Destroy",
        done="It is destroyed.",
        warns="Every unfinished input is abandoned, and its id never comes back. This cannot be undone.",
        typed=True,
    ),
    "retry": Verb(
        act=_of_runtime(lambda each, form: each.retry(_given(form, "input"))), label="Retry", done="It is queued again."
    ),
    "drop": Verb(
        act=_of_runtime(lambda each, form: each.drop(_given(form, "input"))),
        label="Drop",
        done="The dead letter is gone.",
        warns="Its content goes; its key stays known.",
    ),
    "schedule-pause": Verb(
        act=_of_schedule(lambda schedules, name: schedules.pause(name)), label="Pause", done="The schedule is paused."
    ),
    "schedule-resume": Verb(
        act=_of_schedule(lambda schedules, name: schedules.resume(name)), label="Go on", done="The schedule goes on."
    ),
    "schedule-trigger": Verb(
        act=_of_schedule(lambda schedules, name: schedules.trigger(name)),
        label="Trigger now",
        done="An input was made.",
    ),
    "schedule-delete": Verb(
        act=_of_schedule(lambda schedules, name: schedules.delete(name)),
        label="Delete",
        done="The schedule is deleted.",
        warns="It goes with its occurrences; its inputs stay.",
    ),
}
"""By name, in the order in which a page shows them."""

OF_LETTERS: Final = ("retry", "drop")
OF_SCHEDULES: Final = tuple(name for name in VERBS if name.startswith("schedule-"))
OF_RUNTIMES: Final = tuple(name for name in VERBS if name not in OF_LETTERS and name not in OF_SCHEDULES)

DONE: Final = {name: verb.done for name, verb in VERBS.items()}
"""What is said when a verb is on disk."""
