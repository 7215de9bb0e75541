"""The agents of an office, and the world outside of every host: what was done there, heard and told."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, final

import trio

import tenure
from proof.seeded.cases import Broken
from tenure.errors import AskCycle, AskFailed
from tenure.persistence.model.codec import digest, encode

from .scripts import ANSWERS, BY_A_PERSON, CIRCLE, FINE, NO, YES, Word, lead_of, script_of, words

LEAD: Final = "lead"
CHILD: Final = "child"
FRAIL: Final = "frail"
STUCK: Final = "stuck"
LEDGER: Final = "ledger"
KIND_OF: Final[Mapping[str, str]] = {"fails": FRAIL, "needs a person": STUCK}
"""Of a child: its kind, where that is not `CHILD`."""

KINDS: Final = (LEAD, CHILD, FRAIL, STUCK, LEDGER)
AND_YOU: Final = "and you?"
ASIDE_S: Final = 6.0
LONG_S: Final = 45.0
LATE_S: Final = 20.0
ENDLESS_S: Final = 1e6
WORK_S: Final = 3.0
"""Mean seconds that work takes."""

PRECISION_S: Final = 0.001
"""Of times that are compared: as unix seconds they are stored in floats."""

GRACE_S: Final = 1.0
"""After a hold was acknowledged, what was begun before it may still reach its behaviour for so long."""

NEVER_ENDING: Final = tenure.RestartPolicy(
    max_attempts=1_000, backoff_s=2.0, backoff_limit_s=20.0, budget=10_000, max_crashes=1_000
)
POLICIES: Final[Mapping[str, tenure.RestartPolicy]] = {
    FRAIL: tenure.RestartPolicy(max_attempts=2, backoff_s=2.0, max_crashes=1_000),
    STUCK: tenure.RestartPolicy(max_attempts=1_000, backoff_s=2.0, budget=2, max_crashes=1_000),
}


def secret_of(child: str) -> str:
    """What a child that is to be erased keeps to itself."""
    return f"what only {child} knows"


@final
class World:
    """Outlives every host.

    Attributes:
        seed: What everything follows from.
        heard: What each word has heard.
        children: The id of the child of each word that asks one.
        waiting: The words whose child, or whose lead, waits for a person.
        healed: The words whose child a person has looked after.
        on_hold: Runtimes and kinds that a person was told are on hold, since when.
        gone: The children of which a person was told that all is erased.
        frozen: The hosts that were frozen.
    """

    def __init__(self, seed: int, wall_clock: Callable[[], float]) -> None:
        """Nothing was done yet. The clock is that by which the agents wait."""
        self.seed = seed
        self._wall_clock = wall_clock
        self.words: dict[str, Word] = {word.name: word for word in words(seed)}
        self.heard: dict[str, object] = {}
        self.children: dict[str, str] = {}
        self.waiting: set[str] = set()
        self.healed: set[str] = set()
        self.on_hold: dict[str, float] = {}
        self.gone: set[str] = set()
        self.frozen: set[str] = set()
        self.entered: Counter[str] = Counter()
        self._random = random.Random(f"{seed}/world")
        self._done: Counter[str] = Counter()
        self._keys: dict[str, str] = {}
        self._known: dict[bytes, str] = {}
        self._began: dict[str, float] = {}
        self._broken: list[str] = []

    def behaviours(self, host: str, kinds: tuple[str, ...]) -> dict[str, list[tenure.Behaviour]]:
        """The agents of these kinds, as they live on a host."""
        functions: dict[str, Callable[[tenure.Run], Any]] = {LEAD: self._lead, LEDGER: _write_down}
        made: dict[str, list[tenure.Behaviour]] = {}
        for kind in kinds:
            act = functions.get(kind, self._child)

            async def enter(run: tenure.Run, act: Callable[[tenure.Run], Any] = act, kind: str = kind) -> object:
                self._enter(run.runtime_id, kind, host)
                return await act(run)

            policy = POLICIES.get(kind, NEVER_ENDING)
            on_abandoned = _pay_back if kind == FRAIL else None
            made[kind] = [tenure.Behaviour(enter, restart=policy, aside_after_s=ASIDE_S, on_abandoned=on_abandoned)]
        return made

    def _enter(self, runtime: str, kind: str, host: str) -> None:
        self.entered[runtime] += 1
        since = [self.on_hold[each] for each in (runtime, kind) if each in self.on_hold]
        if host not in self.frozen and since and trio.current_time() - min(since) > GRACE_S:
            self.broke(f"{runtime} was entered by host {host}, and is on hold since {min(since)}")

    # A lead

    async def _lead(self, run: tenure.Run) -> object:
        name = run.inputs[0].payload
        if name == AND_YOU:
            return FINE
        if name == YES:
            return "an approval that came too late"
        heard: list[object] = []
        for word in script_of(self.seed, name):
            heard.append(await self._do(run, word))
            run.session.append([word.name, heard[-1]])
        run.state.set("inputs", await run.state.get("inputs", 0) + 1)
        return heard

    async def _do(self, run: tenure.Run, word: Word) -> object:
        match word.kind:
            case "ask":
                return await self._ask(run, word)
            case "pair":
                return [*await run.gather(*[partial(self._ask, run, each) for each in word.branches])]
            case "wait":
                return self.hear(word.name, await self._wait(run, word))
            case "peer" | "itself":
                target = word.target or lead_of(word.name)
                return self.hear(word.name, await _reply(run.ask(target, AND_YOU, LEAD, correlation_id=word.name)))
            case "sleep":
                began = self._begin(word.name)
                await run.sleep(word.seconds)
                self._check_took(word.name, began, word.seconds)
            case "step":
                function = self._keyed if word.how == "keyed" else self._never
                await run.step("work", function, word.name, repeat="keyed" if word.how == "keyed" else "never")
            case _:
                run.send(LEDGER, word.name, kind=LEDGER, after_s=word.seconds or None)
        return None

    async def _ask(self, run: tenure.Run, word: Word) -> object:
        timeout_s = LATE_S if word.how == "is late" else None
        if word.how == "is missing":
            return self.hear(word.name, await _reply(run.ask(f"nobody of {word.name}", "work")))
        payload = [word.how, word.name]
        kind, wanted = KIND_OF.get(word.how, CHILD), None if word.drawn else f"child of {word.name}"
        scope, on_end = word.ends
        child = await run.spawn(wanted, kind, scope=scope, on_end=on_end)
        if self.children.setdefault(word.name, child) != child:
            self.broke(f"{word.name} has spawned {child} and {self.children[word.name]}")
        lane = "queue"
        if word.how == "is asked while it waits":
            run.send(child, payload)
            lane = "steer"
        began = self._begin(word.name)
        reply = await _reply(run.ask(child, payload, lane=lane, correlation_id=word.name, timeout_s=timeout_s))
        if timeout_s is not None:
            self._check_took(word.name, began, timeout_s)
        return self.hear(word.name, reply)

    async def _wait(self, run: tenure.Run, word: Word) -> object:
        self.waiting.add(word.name)
        timeout_s = None if word.how == "comes" else LONG_S
        began = self._begin(word.name)
        came = await run.wait_steered(timeout_s=timeout_s, correlation_id=word.name)
        if not came:
            self._check_took(word.name, began, LONG_S)
        return came[0].payload if came else NO

    # A child

    async def _child(  # noqa: C901, PLR0911 - one sort of child after another
        self, run: tenure.Run
    ) -> object:
        how, name = run.inputs[0].payload
        if how in BY_A_PERSON:
            self._keep(run, how)
            self.waiting.add(name)
            await run.wait_steered()
            return "retired" if run.retiring else "steered"
        match how:
            case "is steered":
                self.waiting.add(name)
                return (await run.wait_steered())[0].payload
            case "is asked while it waits":
                return await self._join(run)
            case "sleeps":
                await run.sleep(LONG_S)
                return "slept"
            case "is late":
                await run.sleep(ENDLESS_S)
                return None
            case "asks back":
                return await _reply(run.ask(lead_of(name), AND_YOU, correlation_id=f"{name} back"))
            case "asks another":
                other = f"{run.runtime_id}'s own"
                return await run.ask(other, ["works", f"{name} by another"], kind=CHILD, correlation_id=f"{name} on")
            case "rejects":
                run.reject(run.inputs[0], "not wanted")
                return None
            case "fails":
                await run.step("charge", self._keyed, name, repeat="keyed")
            case "needs a person" if name not in self.healed:
                pass
            case _:
                return await run.step("work", self._never, name, repeat="never")
        message = "it fails"
        raise ConnectionError(message)

    async def _join(self, run: tenure.Run) -> str:
        """Answer who asks while it waits; the ask may have come before what it was sent, and be a run of its own."""
        if run.inputs[0].kind == "peer_request":
            return "joined"
        for joined in await run.wait_steered():
            run.answer(joined, "joined")
        return "was joined"

    def _keep(self, run: tenure.Run, how: str) -> None:
        if how == "is erased":
            secret = secret_of(run.runtime_id)
            run.session.append(secret)
            run.state.set("secret", secret)

    # Work

    async def _keyed(self, name: str, *, key: str) -> str:
        if self._keys.setdefault(name, key) != key:
            self.broke(f"{name} was done under two keys")
        self._done[name] += 1
        await self._take_time()
        return "worked"

    async def _never(self, name: str) -> str:
        self._known[digest(encode([name], "arguments"))] = name
        self._done[name] += 1
        if self._done[name] > 1:
            self.broke(f"{name}, which never repeats, was done {self._done[name]} times")
        await self._take_time()
        return "worked"

    async def _take_time(self) -> None:
        await trio.sleep(self._random.expovariate(1 / WORK_S))

    def verdict(self, arguments: bytes) -> tenure.Verdict:
        """What a person finds who looks whether a step with these arguments ran."""
        return tenure.Ran("worked") if arguments in self._known else tenure.DidNotRun()

    def done(self, name: str) -> int:
        """How often the work of this name was done."""
        return self._done[name]

    # What is heard

    def hear(self, name: str, heard: object) -> object:
        """A word has heard this: each time the same, and what is right."""
        if self.heard.setdefault(name, heard) != heard:
            self.broke(f"{name} has heard {heard}, and before {self.heard[name]}")
        if heard not in right(self.words[name]):
            self.broke(f"{name} ({self.words[name].how}) has heard {heard}, and not {right(self.words[name])}")
        return heard

    def _begin(self, name: str) -> float:
        return self._began.setdefault(name, self._wall_clock())

    def _check_took(self, name: str, began: float, seconds: float) -> None:
        took_s = self._wall_clock() - began
        if took_s < seconds - PRECISION_S:
            self.broke(f"{name} waited for {took_s:.1f} s, and not for {seconds}")

    def broke(self, how: str) -> None:
        """A promise was broken."""
        self._broken.append(how)

    def judge(self) -> None:
        """Raises `Broken`."""
        if self._broken:
            raise Broken(self._broken[0])


def right(word: Word) -> list[object]:
    """What a word may hear."""
    match word.kind:
        case "ask":
            return [ANSWERS[word.how]]
        case "peer":
            return [FINE, CIRCLE]
        case "itself":
            return [CIRCLE]
        case _:
            return [YES] if word.how == "comes" else [NO] if word.how == "never comes" else [YES, NO]


async def _reply(asking: Any) -> object:
    try:
        return await asking
    except AskCycle:
        return CIRCLE
    except AskFailed as exc:
        outcome = exc.outcome if isinstance(exc.outcome, tenure.Outcome) else None
        return [exc.reason, None if outcome is None or exc.reason == "late" else outcome.reason]


async def _write_down(run: tenure.Run) -> None:
    for given in run.inputs:
        run.session.append(given.payload)


async def _pay_back(run: tenure.Run) -> None:
    charged = [entry.result for entry in await run.recorded("charge")]
    for given in run.inputs:
        run.send(LEDGER, f"{given.payload[1]} back, {charged}", kind=LEDGER)
