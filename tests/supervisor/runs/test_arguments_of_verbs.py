"""What a behaviour hands to the verbs of its run is checked at once: nothing of it troubles the commit that it lands with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput
from tests.kit.alone import OpenHost

ONCE = tenure.RestartPolicy(max_attempts=1)


class Words(str):
    """A text whose class raises wherever it is asked."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        raise RuntimeError


class Raw(bytes):
    """Bytes likewise."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


async def outcome_of(open_host: OpenHost, ask: Callable[[tenure.Run], Any]) -> tuple[tenure.Outcome, list[Any]]:
    async def act(run: tenure.Run) -> None:
        asked = ask(run)
        if hasattr(asked, "__await__"):
            await asked

    async with open_host({"k": tenure.Behaviour(act, restart=ONCE)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        outcome = await ticket.wait_outcome()
        assert runtime.held is None
        return outcome, list(await supervisor.read_session("a"))


class Late(float):
    """A number whose sums raise."""

    def __radd__(self, other: object) -> float:
        raise RuntimeError

    __add__ = __mul__ = __rmul__ = __lt__ = __ge__ = __radd__  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


REFUSED: dict[str, Callable[[Any], Any]] = {
    "reject with bytes": lambda run: run.reject(run.inputs[0], b"no"),
    "reject with nothing": lambda run: run.reject(run.inputs[0], None),
    "reject with a number": lambda run: run.reject(run.inputs[0], 5),
    "consume no tuple": lambda run: run.checkpoint(consume=run.inputs[0]),
    "consume no input": lambda run: run.checkpoint(consume=("a",)),
    "a step without a name": lambda run: run.step(None, str, repeat="freely"),
    "a map of nothing": lambda run: run.map("look", str, None, repeat="freely"),
    "a gather of results": lambda run: run.gather(5),
    "the first of results": lambda run: run.first(5),
}


RESTS: dict[str, Callable[[tenure.Run, Any], Any]] = {
    "ask": lambda run, seconds: run.ask("b", 1, timeout_s=seconds),
    "sleep": lambda run, seconds: run.sleep(seconds),
    "sleep that is steered": lambda run, seconds: run.sleep(seconds, steerable=True),
    "wait": lambda run, seconds: run.wait_steered(timeout_s=seconds),
}


@pytest.mark.parametrize("seconds", [10**400, math.inf, True, -1], ids=["beyond numbers", "for ever", "true", "less"])
@pytest.mark.parametrize("verb", RESTS)
async def test_a_rest_of_no_number_of_seconds_is_refused(
    autojump_clock: MockClock, open_host: OpenHost, verb: str, seconds: float
) -> None:
    outcome, _ = await outcome_of(open_host, lambda run: RESTS[verb](run, seconds))
    assert outcome.reason == "max_attempts_exhausted"
    assert (outcome.error or "").startswith(InvalidInput.__name__)


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_is_refused_where_it_is_asked_for(
    autojump_clock: MockClock, open_host: OpenHost, name: str
) -> None:
    outcome, _ = await outcome_of(open_host, REFUSED[name])
    assert outcome.reason == "max_attempts_exhausted"
    assert (outcome.error or "").startswith(InvalidInput.__name__)


TAKEN: dict[str, Callable[[tenure.Run], Any]] = {
    "append": lambda run: run.session.append(Raw(b"x")),
    "call": lambda run: run.step("look", str, repeat="freely", call=Words("x")),
    "kind": lambda run: run.send("b", 1, kind=Words("k")),
    "patched": lambda run: run.patched(Words("x")),
    "reject": lambda run: run.reject(run.inputs[0], Words("x")),
    "sleep": lambda run: run.sleep(Late(0.01)),
    "sleep that is steered": lambda run: run.sleep(Late(0.01), steerable=True),
    "wait": lambda run: run.wait_steered(timeout_s=Late(0.01)),
    "rewrite": lambda run: run.session.rewrite([Raw(b"x")]),
    "state": lambda run: run.state.set(Words("x"), 1),
    "step": lambda run: run.step(Words("x"), str, repeat="freely"),
    "target": lambda run: run.send(Words("b"), 1),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_texts_and_bytes_of_any_class_are_what_they_hold(
    autojump_clock: MockClock, open_host: OpenHost, name: str
) -> None:
    outcome, messages = await outcome_of(open_host, TAKEN[name])
    assert outcome.phase == ("abandoned" if name == "reject" else "consumed")
    assert outcome.error == ("x" if name == "reject" else None)
    assert messages == ([b"x"] if name in ("append", "rewrite") else [])


WRONG: dict[str, Callable[[Any], Any]] = {
    "emit": lambda run: run.emit(),
    "first": lambda run: run.first(functions=[]),
    "flush": lambda run: run.flush(1),
    "gather": lambda run: run.gather(functions=[]),
    "map": lambda run: run.map("look", str, []),
    "recorded": lambda run: run.recorded(),
    "sleep": lambda run: run.sleep(),
    "step": lambda run: run.step("look", str),
}


@pytest.mark.parametrize("name", WRONG)
async def test_an_error_of_arguments_names_the_verb_as_its_caller_does(
    autojump_clock: MockClock, open_host: OpenHost, name: str
) -> None:
    outcome, _ = await outcome_of(open_host, WRONG[name])
    assert (outcome.error or "").startswith(f"TypeError: Run.{name}() ")


@pytest.mark.parametrize("verb", ["step", "map"])
async def test_a_term_that_no_step_has_is_named_with_those_that_it_has(
    autojump_clock: MockClock, open_host: OpenHost, verb: str
) -> None:
    outcome, _ = await outcome_of(open_host, lambda run: getattr(run, verb)("look", str, [], repeat="freely", time_s=1))
    assert "a step has no term 'time_s'; its terms are attempts, backoff_limit_s" in (outcome.error or "")
