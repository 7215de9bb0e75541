"""What must have come of an office when everything has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import tenure
from proof.seeded.cases import Broken
from proof.seeded.computer import Host
from tenure.errors import NotFound
from tenure.persistence.engines.engine import Statements
from tenure.persistence.upkeep.verify import runtime_ids, verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tenure.testing.observing import inside_of

from .scripts import INPUTS, LEADS, Word, inputs_of, script_of
from .world import LEDGER, World, secret_of

HOLDS: Final = "SELECT kind, runtime_id FROM holds"
OPEN: Final = "SELECT count(*) FROM inputs WHERE finished_at IS NULL"
STATES: Final = "SELECT runtime_id, state FROM runtimes"
ASKS: Final = "SELECT correlation_id, count(*), count(status) FROM asks WHERE correlation_id IS NOT NULL GROUP BY 1"
REQUESTS: Final = """
SELECT extra ->> 'correlation_id', count(*) FROM inputs WHERE kind = 'peer_request' GROUP BY 1
"""
ANSWERS: Final = """
SELECT extra ->> 'correlation_id', count(*) FROM inputs WHERE kind = 'peer_response_terminal' GROUP BY 1
"""
GONE: Final = ("stopped", "retired", "destroyed")


async def rows(host: Host, supervisor: tenure.Supervisor, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the database, as this host reads them."""
    return list(await host.call(lambda: inside_of(supervisor.store).rows(sql)))


def check_files(host: Host, world: World) -> None:
    """Where a person was told that all of it is gone, no file has what the child kept to itself."""
    for name, content in host.files():
        left = [child for child in world.gone if secret_of(child).encode() in content]
        if left:
            world.broke(f"{left} were erased, and {name} has what they knew")


async def unfinished(host: Host, supervisor: tenure.Supervisor, world: World) -> bool:
    """Whether something has not ended yet: an input, a child that ends with the run of its parent, an erasure."""
    ((left,),) = await rows(host, supervisor, OPEN)
    states = dict(await rows(host, supervisor, STATES))
    # One that fails may have been stopped before it paid back: then it lives again.
    ending = [word for word in _asking(world) if word.ends[1] != "leave" and word.how != "fails"]
    live = [word for word in ending if states[world.children[word.name]] not in GONE]
    erased = {world.children[word.name] for word in _asking(world) if word.how == "is erased"}
    return bool(left) or bool(live) or bool(erased - world.gone)


async def judge(host: Host, supervisor: tenure.Supervisor, world: World) -> None:
    """Raises `Broken`."""
    world.judge()
    for lead in LEADS:
        await _judge_lead(supervisor, world, lead)
    await _judge_ledger(supervisor, world)
    await _judge_rows(host, supervisor, world)
    states = dict(await rows(host, supervisor, STATES))
    for word in _asking(world):
        _expect(
            word.how in ("rejects", "fails") or _worked(world, word),
            f"{word.name} ({word.how}): the work was not done once",
        )
        if word.ends[1] == "destroy":
            _expect(states[world.children[word.name]] == "destroyed", f"the child of {word.name} was not destroyed")
    check_files(host, world)
    world.judge()
    problems = [
        *await supervisor.store.read(_problems),
        *[each for each in await verify_parts(supervisor.store) if each.problems],
    ]
    _expect(not problems, f"verify says {problems}")


async def _judge_lead(supervisor: tenure.Supervisor, world: World, lead: str) -> None:
    said: list[Any] = [each for each in await supervisor.read_session(lead) if isinstance(each, list)]
    wanted: list[object] = []
    for name in inputs_of(lead):
        outcome = await (await supervisor.ticket(lead, idempotency_key=name)).wait_outcome()
        heard = [_heard(world, word) for word in script_of(world.seed, name)]
        _expect(outcome.result == heard, f"{name} has come to {outcome.result}, and heard {heard}")
        wanted += [[word.name, _heard(world, word)] for word in script_of(world.seed, name)]
    _expect(said == wanted, f"{lead} has said {said}, and not {wanted}")
    state = await supervisor.execution_state(lead)
    _expect(state.values.get("inputs") == INPUTS, f"the state of {lead} is {state.values}")


def _heard(world: World, word: Word) -> object:
    if word.kind == "pair":
        return [world.heard[each.name] for each in word.branches]
    return world.heard.get(word.name)


def _worked(world: World, word: Word) -> bool:
    match word.how:
        case "works" | "needs a person":
            return world.done(word.name) == 1
        case "asks another":
            return world.done(f"{word.name} by another") == 1
        case _:
            return True


async def _judge_ledger(supervisor: tenure.Supervisor, world: World) -> None:
    """What was sent came once, and what a failed child was given was paid back once."""
    wanted = Counter([word.name for word in world.words.values() if word.kind == "send"])
    wanted.update([f"{word.name} back, ['worked']" for word in _asking(world) if word.how == "fails"])
    written: Counter[str] = Counter()
    with suppress(NotFound):  # nothing was sent
        written.update(await supervisor.read_session(LEDGER))
    _expect(written == wanted, f"the ledger has {written - wanted} too often, and lacks {wanted - written}")


async def _judge_rows(host: Host, supervisor: tenure.Supervisor, world: World) -> None:
    """Each was asked once, and each ask has one end."""
    erased = {word.name for word in _asking(world) if word.how == "is erased"}
    asks = {name: counts for name, *counts in await rows(host, supervisor, ASKS)}
    wrong = {name: counts for name, counts in asks.items() if counts != [1, 1]}
    _expect(not wrong, f"asks and ends: {wrong}")
    asked = [word.name for word in _asking(world)]
    _expect(set(asked) <= set(asks) | erased, f"{set(asked) - set(asks)} was never asked")
    requests, answers = dict(await rows(host, supervisor, REQUESTS)), dict(await rows(host, supervisor, ANSWERS))
    for word in _asking(world):
        wanted = int(word.how != "is erased")
        _expect(requests.get(word.name, 0) == wanted, f"{word.name} was asked {requests.get(word.name, 0)} times")
        _expect(
            word.how == "is late" or answers.get(word.name, 0) == 1,
            f"{word.name} has {answers.get(word.name, 0)} answers",
        )


def _asking(world: World) -> Iterator[Word]:
    """The words whose child is there."""
    return (word for word in world.words.values() if word.name in world.children)


def _problems(statements: Statements) -> list[object]:
    return [each for name in runtime_ids(statements) for each in verify_runtime(statements, name).problems]


def _expect(holds: object, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)
