"""The agents of a household, the world in which they act, and what each of them has to hear."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol, final

import tenure
from tenure.errors import AskFailed
from tenure.testing.history import History

LEAD: Final = "lead"
CHILD: Final = "child"
SICK: Final = "sick"
LEDGER: Final = "ledger"
CLOCK: Final = "clock"
KEEPER: Final = "keeper"
GO: Final = "go"
TASKS: Final = 2
ASIDE_S: Final = 2.0
TICK_S: Final = 12.0
TICKS: Final = 3
ENDLESS_S: Final = 1e6
POLICY: Final = tenure.RestartPolicy(max_attempts=50, backoff_s=1.0, budget=1_000, max_crashes=1_000)
SICK_POLICY: Final = tenure.RestartPolicy(max_attempts=2, backoff_s=1.0, budget=1_000, max_crashes=1_000)


class Hears(Protocol):
    """Who is told what was done, and what was promised."""

    def acknowledged(self, subject: str, value: Any = None) -> None:
        """See `Witness.acknowledged`."""
        ...


def told(keeper: str) -> str:
    """What a keeper is told, and has to forget."""
    return f"what {keeper} was told"


def is_approved(task: int) -> bool:
    """Whether a person approves a task; the others wait until their time is over."""
    return task % 2 == 0


@final
class World:
    """What is done outside of the store: it outlives every crash.

    `pace` is how long a second of the agents takes.
    """

    def __init__(
        self, events: Iterable[tuple[str, Any]] = (), witness: Hears | None = None, *, pace: float = 1.0
    ) -> None:
        """With what was done before."""
        self.events = list(events)
        self._witness = witness
        self._pace = pace

    def note(self, kind: str, what: Any) -> None:
        """It is done now."""
        self.events.append((kind, what))
        if self._witness is not None:
            self._witness.acknowledged(kind, what)

    def of(self, kind: str) -> list[Any]:
        """What was done of a kind."""
        return [what for each, what in self.events if each == kind]

    # What the steps do

    def work(self, task: int) -> str:
        """A step that may not be repeated."""
        tenure.emit([task, "works"])
        self.note("worked", task)
        return f"worked {task}"

    def charge(self, task: int, *, key: str) -> str:
        """A step that may be under its key."""
        self.note("charged", f"{task} under {key}")
        return f"charge {task}"

    async def find_out(self, doubt: tenure.StepInDoubt) -> tenure.Verdict:
        """Whether it was done, when the host died before it knew."""
        task = doubt.arguments[0]
        return tenure.Ran(f"worked {task}") if task in self.of("worked") else tenure.DidNotRun()

    # What runs do

    def behaviours(self) -> dict[str, tenure.Behaviour]:
        """The agents in this world."""
        aside_s = ASIDE_S * self._pace
        return {
            LEAD: tenure.Behaviour(self._lead, restart=POLICY, aside_after_s=aside_s),
            CHILD: tenure.Behaviour(self._work, restart=POLICY, aside_after_s=aside_s, in_doubt=self.find_out),
            SICK: tenure.Behaviour(self._fail, restart=SICK_POLICY, on_abandoned=_pay_back),
            LEDGER: tenure.Behaviour(_write_down, restart=POLICY),
            CLOCK: tenure.Behaviour(_strike, restart=POLICY),
            KEEPER: tenure.Behaviour(_keep, restart=POLICY),
        }

    async def _work(self, run: tenure.Run) -> str:
        task = run.inputs[0].payload
        if task == "late":
            await run.sleep(ENDLESS_S)
        return await run.step("work", self.work, task, repeat="never")

    async def _fail(self, run: tenure.Run) -> None:
        await run.step("charge", self.charge, run.inputs[0].payload, repeat="keyed")
        message = "for good"
        raise ConnectionError(message)

    async def _lead(self, run: tenure.Run) -> str:
        task: int = run.inputs[0].payload
        child = await run.spawn(f"{CHILD}-{task}", CHILD, scope="run", on_end="stop")
        await run.emit([task, "asks"])
        run.session.append(await run.ask(child, task, correlation_id=f"of {task}"))
        run.send(LEDGER, f"delayed {task}", kind=LEDGER, after_s=8.0 * self._pace)
        run.session.append(await _failed(run, SICK, task, None))
        timeout_s = ENDLESS_S if is_approved(task) else 6.0 * self._pace
        said = await run.wait_steered(timeout_s=timeout_s, correlation_id=approval(task))
        run.session.append([each.payload for each in said])
        run.session.append(await _failed(run, child, "late", 4.0 * self._pace))
        await run.sleep(5.0 * self._pace)
        await run.emit([task, "done"])
        return f"done {task}"


def approval(task: int) -> str:
    """What a person answers to."""
    return f"approval {task}"


async def _failed(run: tenure.Run, target: str, payload: object, timeout_s: float | None) -> str:
    try:
        return f"answered {await run.ask(target, payload, SICK if target == SICK else CHILD, timeout_s=timeout_s)}"
    except AskFailed as exc:
        return exc.reason


async def _pay_back(run: tenure.Run) -> None:
    (task,) = [given.payload for given in run.inputs]
    charged = [entry.result for entry in await run.recorded("charge")]
    run.send(LEDGER, f"{charged} of {task} back, {run.abandoned}", kind=LEDGER)


async def _write_down(run: tenure.Run) -> None:
    for given in run.inputs:
        run.session.append(given.payload)


async def _strike(run: tenure.Run) -> None:
    for given in run.inputs:
        run.session.append(given.source["scheduled_at"])


async def _keep(run: tenure.Run) -> str:
    secret: str = run.inputs[0].payload
    run.session.append(secret)
    run.state.set("kept", secret)
    await run.emit(secret)
    return secret


def heard_by(task: int) -> list[Any]:
    """What a lead hears, as its conversation says it."""
    return [f"worked {task}", "abandoned", ["yes"] if is_approved(task) else [], "late"]


def written_of(task: int) -> list[str]:
    """What the ledger has of a task."""
    return [f"delayed {task}", f"['charge {task}'] of {task} back, max_attempts_exhausted"]


def done(history: History) -> list[tuple[str, Any]]:
    """What was done to the world in earlier lives."""
    return [(kind, what) for kind in ("worked", "charged") for what in history.acknowledged(kind)]
