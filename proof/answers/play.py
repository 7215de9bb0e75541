"""One case: a parent asks, hosts die, a person looks after what is held, and in the end it is judged."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import trio
from attrs import frozen

import tenure
from proof.seeded.cases import Broken
from proof.seeded.person import end_runtime, read_entries
from tenure import errors
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.entries import EntryStatus
from tenure.persistence.upkeep.verify import runtime_ids, verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tenure.testing.observing import inside_of

from .hosts import Death, Fleet, Mortal, Place
from .world import AT_ONCE, BY_A_PERSON, CHILD, GRAND, PARENT, World, expect

LAYOUTS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "one host": ((PARENT, CHILD, GRAND),),
    "apart": ((PARENT,), (CHILD, GRAND)),
    "beside": ((PARENT, CHILD, GRAND), (PARENT, CHILD, GRAND)),
}
"""The kinds of the hosts that live at a time."""

LONGEST_S: Final = 5_000.0
LOOK_S: Final = 5.0
LOOKS: Final = 12
"""Looks in a row at which a wait must have had a name."""

NOTHING: Final = "nothing holds it back"
KEY: Final = "go"


@final
@frozen(kw_only=True, slots=True)
class Case:
    """One case.

    Attributes:
        how: What becomes of the child.
        layout: Which hosts there are.
        deaths: Of each place, how its hosts die, one after another.
        seed: Of what is drawn.
    """

    how: str
    layout: str
    deaths: tuple[tuple[Death, ...], ...]
    seed: int = 0

    def __str__(self) -> str:
        died = [f"host {at}: {death}" for at, each in enumerate(self.deaths, start=1) for death in each]
        return f"a child that {self.how}, {self.layout}, {'; '.join(died) or 'none dies'}, seed {self.seed}"


async def play(case: Case, file: Path) -> list[list[bool]]:
    """Play a case to its end: the operations of the first host of each place (`Mortal.passed`). Raises `Broken`."""
    world, because = World(case.how), list[str]()
    places = [
        Place(f"host {at}", partial(_some, world, kinds), deaths)
        for at, (kinds, deaths) in enumerate(zip(LAYOUTS[case.layout], case.deaths, strict=True), start=1)
    ]
    with trio.move_on_after(LONGEST_S) as scope:
        async with trio.open_nursery() as nursery:  # owned by this case
            fleet = Fleet(case.seed, str(file), places, nursery)
            fleet.open()
            try:
                await Story(world, fleet, because).tell()
            finally:
                fleet.leave()
    if scope.cancelled_caught:
        message = f"stuck: {because[-1] if because else 'no host has ever answered'}"
        raise Broken(message)
    return [place.lives[0].passed for place in places]


def _some(world: World, kinds: tuple[str, ...], host: Mortal) -> dict[str, tenure.Behaviour]:
    return {kind: behaviour for kind, behaviour in world.behaviours(host).items() if kind in kinds}


@final
class Story:
    """What is done from outside in one case.

    Attributes:
        because: What `why` has said of the parent, look after look.
    """

    def __init__(self, world: World, fleet: Fleet, because: list[str]) -> None:
        """Nothing yet."""
        self._world = world
        self._fleet = fleet
        self.because = because
        self._disagreed = 0

    async def tell(self) -> None:
        """From the first input to the judgement."""
        ask = self._fleet.ask
        if self._world.how == "is on hold":
            await ask(lambda host: host.hold(CHILD, note="of a person"))
        if self._world.how == AT_ONCE:
            await ask(lambda host: _begin(host, CHILD, AT_ONCE), where=-1)
        await ask(lambda host: _begin(host, PARENT, self._world.how), where=0)
        async with trio.open_nursery() as nursery:  # owned by this story
            nursery.start_soon(self._look_after)
            outcome = await ask(partial(_outcome, whose=PARENT))
            if self._world.how == AT_ONCE:
                await ask(partial(_outcome, whose=CHILD))
            nursery.cancel_scope.cancel()
        expect(outcome.phase == "consumed", f"the parent's input is {outcome.phase}, {outcome.reason}")
        self._world.judge(outcome.result)
        while await ask(partial(_unfinished, world=self._world)):  # noqa: ASYNC110 - as a user would ask
            await trio.sleep(LOOK_S)
        await ask(partial(_judge, world=self._world))

    # A person

    async def _look_after(self) -> None:
        """Look after the child for as long as its parent waits."""
        while True:
            await trio.sleep(LOOK_S)
            await self._fleet.ask(self._care)

    async def _care(self, host: tenure.Supervisor) -> None:
        how = self._world.how
        why = await host.why(PARENT)
        self.because.append(why["because"])
        unnamed = [NOTHING in each for each in self.because[-LOOKS:]]
        expect(len(unnamed) < LOOKS or not all(unnamed), f"the parent waits, and why says {self.because[-1]}")
        try:
            child = await host.find(CHILD)
            of_child = await host.why(CHILD)
        except errors.NotFound:
            return
        if of_child["held"] is not None or of_child["on_hold"]:
            await self._release(host, child, why["because"], of_child)
        elif how == "asks another":
            with suppress(errors.NotFound):
                grandchild, of_grand = await host.find(GRAND), await host.why(GRAND)
                if of_grand["held"] is not None:
                    await self._release(host, grandchild, why["because"], of_grand)
        elif how == "is steered" and self._world.waits.is_set():
            await child.accept("yes", lane="steer", idempotency_key="the approval")
        elif how in BY_A_PERSON and self._world.waits.is_set() and of_child["run"] is not None:
            # Only while it waits: a reset of a child that its parent's end has stopped would begin its next life.
            with suppress(errors.InvalidTransition, errors.RuntimeDestroyed):
                await end_runtime(child, how)

    async def _release(self, host: tenure.Supervisor, child: Any, because: str, why: dict[str, Any]) -> None:
        """Once `why` has named it to who looks at the parent."""
        held = child.runtime_id
        waits = f"waits for the answer of {held}" in because
        if not waits:
            return
        # The parent's was read a moment earlier: where they differ, the next look finds them agreed.
        if _timeless(why["because"]) not in _timeless(because):
            self._disagreed += 1
            expect(self._disagreed < LOOKS, f"{because} does not say that {why['because']}")
            return
        if why["on_hold"]:
            await host.resume(held)
            return
        self._world.healed = True
        found = await read_entries(host, held)
        doubts = [each.place for each in found if each.status is EntryStatus.IN_DOUBT]
        if doubts:
            await child.settle_step(doubts[0], self._world.settled(held))
        else:
            await child.resume()


def _timeless(text: str) -> str:
    """Without the lengths of time, which go on from one look to the next."""
    return re.sub(r"\d+ (d|h|min|s)\b", "a time", text)


async def _begin(host: tenure.Supervisor, whose: str, how: str) -> None:
    await host.accept(whose, how, kind=whose, idempotency_key=KEY)


async def _outcome(host: tenure.Supervisor, *, whose: str) -> tenure.Outcome:
    return await (await host.ticket(whose, idempotency_key=KEY)).wait_outcome()


_OPEN: Final = """
SELECT count(*) FROM inputs i JOIN runtimes r USING (runtime) WHERE i.finished_at IS NULL
"""
_CHILD: Final = "SELECT state FROM runtimes WHERE runtime_id = ?"
_REQUESTS: Final = """
SELECT count(*) FROM inputs i JOIN runtimes r USING (runtime) WHERE r.runtime_id = ? AND i.kind = 'peer_request'
"""
_ANSWERS: Final = """
SELECT count(*) FROM inputs i JOIN runtimes r USING (runtime) WHERE r.runtime_id = ? AND i.kind = 'peer_response_terminal'
"""


async def _unfinished(host: tenure.Supervisor, *, world: World) -> bool:
    """Whether something has not ended yet: an input, a child that ends with the run of its parent, an erasure."""
    inside = inside_of(host.store)
    child = inside.rows(_CHILD, CHILD)
    lives = world.how != AT_ONCE and bool(child) and child[0][0] not in ("stopped", "retired", "destroyed")
    return (
        lives
        or bool(inside.rows(_OPEN)[0][0])
        or (world.how == "is erased" and bool(inside.rows(_REQUESTS, CHILD)[0][0]))
    )


async def _judge(host: tenure.Supervisor, *, world: World) -> None:
    """One request, one answer, and everything is sound."""
    inside = inside_of(host.store)
    asked, late, erased = world.how != "is missing", world.how == "is late", world.how == "is erased"
    ((requests,),), ((answers,),) = inside.rows(_REQUESTS, CHILD), inside.rows(_ANSWERS, PARENT)
    right = [int(asked and not erased)] if world.how != AT_ONCE else [0, 1]
    expect(requests in right, f"the child was asked {requests} times")
    expect(
        answers == requests or (erased and answers == 1) or (late and not answers), f"{answers} answers have come back"
    )
    open_asks = inside.rows("SELECT ask FROM asks WHERE status IS NULL")
    expect(not open_asks, f"{len(open_asks)} asks have no answer")
    problems = [*await host.store.read(_problems), *[each for each in await verify_parts(host.store) if each.problems]]
    expect(not problems, f"verify says {problems}")


def _problems(statements: Statements) -> list[object]:
    return [each for name in runtime_ids(statements) for each in verify_runtime(statements, name).problems]
