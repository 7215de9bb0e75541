"""The door of the openings: what a host, a store and their values are made of is checked like every other argument.

A hostile value is the caller's typed error before anything is opened, or a value that a host opens with.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import tenure
from tenure.errors import Error
from tests.kit.hostile import hostile_values
from tests.supervisor.test_door import echo, wrong_answer

VALUES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Behaviour": (tenure.Behaviour, {"function": echo}),
    "Limits": (tenure.Limits, {}),
    "Retention": (tenure.Retention, {}),
    "RestartPolicy": (tenure.RestartPolicy, {}),
    "Cron": (tenure.Cron, {"expression": "0 8 * * *"}),
    "Every": (tenure.Every, {"seconds": 5}),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_hostile_field_of_what_a_host_is_opened_with_is_a_typed_error(name: str) -> None:
    make, good = VALUES[name]
    wrong: dict[str, str] = {}
    for field in inspect.signature(make).parameters:
        for said, value in hostile_values().items():
            try:
                make(**{**good, field: value})
            except Error:
                continue
            except BaseException as exc:  # noqa: BLE001 - what comes out is what is looked at
                wrong[f"{field}={said}"] = type(exc).__name__
    assert not wrong


ARGUMENTS = [name for name in inspect.signature(tenure.open_supervisor).parameters if name != "target"]


@pytest.mark.parametrize("name", [*ARGUMENTS, "one behaviour", "several behaviours"])
async def test_a_hostile_argument_of_an_opening_is_a_typed_error(name: str) -> None:
    wrong: dict[str, str | None] = {}
    for said, value in hostile_values().items():
        given: dict[str, Any] = {"behaviours": {"kind": echo}}
        if name == "one behaviour":
            given["behaviours"] = {"kind": value}
        elif name == "several behaviours":
            given["behaviours"] = {"kind": (value, echo)}
        else:
            given[name] = value

        async def opened(given: dict[str, Any] = given) -> None:
            async with tenure.open_supervisor(":memory:", **given):
                await trio.lowlevel.checkpoint()

        wrong[said] = await wrong_answer(opened)
    assert not {said: answer for said, answer in wrong.items() if answer}


@pytest.mark.parametrize("name", ["target", "durability", "limits", "seams"])
async def test_a_hostile_argument_of_an_opening_of_a_store_is_a_typed_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a word is a file of that name
    wrong: dict[str, str | None] = {}
    for said, value in hostile_values().items():

        async def opened(value: Any = value) -> None:
            given: dict[str, Any] = {"target": ":memory:", name: value}
            async with tenure.open_store(given.pop("target"), **given) as store:
                await store.health_check()

        wrong[said] = await wrong_answer(opened)
    assert not {said: answer for said, answer in wrong.items() if answer}


SECONDS = [each.name for each in attrs.fields(tenure.Limits) if each.name.endswith("_s") and each.name != "renew_s"]


@pytest.mark.parametrize("longest", [math.inf, 1e300])
@pytest.mark.parametrize("name", SECONDS)
async def test_a_host_opens_and_works_with_a_limit_that_is_for_ever(database: Path, name: str, longest: float) -> None:
    limits = attrs.evolve(tenure.Limits(), **{name: longest})
    async with tenure.open_supervisor(database, behaviours={"kind": echo}, limits=limits) as supervisor:
        with trio.fail_after(60):
            ticket = await supervisor.accept("a", "go", kind="kind")
            assert (await ticket.wait_outcome()).phase == "consumed"


async def test_queued_work_is_carried_out_by_a_host_whose_lease_is_for_ever() -> None:
    done = trio.Event()

    async def handle(_: tenure.QueuedWork) -> None:
        done.set()

    limits = tenure.Limits(lease_s=math.inf)
    async with tenure.open_supervisor(":memory:", behaviours={}, limits=limits) as supervisor:
        batch = tenure.QueuedWorkBatchDraft(
            session_id="mail",
            delivery_policy=tenure.DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=tenure.SlotPolicy.JOIN,
            payloads=(tenure.QueuedWorkPayload(kind=tenure.QueuedWorkKind.TURN_INPUT, body=b"letter"),),
        )
        await supervisor.store.queue.enqueue_queued_work(batch)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.serve_queue, "mail", handle)
            with trio.fail_after(30):
                await done.wait()
            nursery.cancel_scope.cancel()
