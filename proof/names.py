"""Removes and replaces the files beside a store while hosts have it open: ``python -m proof.names``.

One, two or three hosts, each a process, accept inputs on one file; some close, some are killed. Between any two operations
lock, log, index and the hosts' own locks are removed or replaced, in every order, and newcomers come. In the end nothing lives,
a last host opens, and the file is compared with what was acknowledged. Two things may never be: a damaged file, and an input
that was acknowledged and is gone. One loss is allowed, and only that: what was acknowledged before the *log* went, where no
host that was open lived to look again.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, final

import apsw
from attrs import define, field, frozen

from proof.killed.named_host import Fork, copy, host, look

FILES: Final = ("lock", "shm", "log", "proofs")
WAYS: Final = ("removed", "emptied", "copied")
"""Removed; another, empty file in its place; a copy of it in its place."""

NEWCOMERS: Final = {"host": host, "look": look, "copy": copy}
ENDINGS: Final = ("kill", "write", "close")
"""What the hosts do after the last damage: killed at once; one more input each and killed; one more input each and closed."""

HARMLESS: Final = frozenset({"CannotOpen", "StoreLocked", "StoreBroken", "Closed", "Contended"})
"""How a host or newcomer may be refused."""


@final
@frozen(kw_only=True, slots=True)
class Damage:
    """One file beside the database loses its name."""

    file: str
    way: str
    at: int


@final
@frozen(kw_only=True, slots=True)
class Case:
    """One run.

    Attributes:
        hosts: How many hosts.
        damages: What goes, in this order, each before the operation of its number.
        newcomer: Who comes after each damage.
        ending: How the hosts end.
    """

    hosts: int
    damages: tuple[Damage, ...]
    newcomer: str
    ending: str


@final
class NotKept(AssertionError):
    """A file was damaged, or an acknowledgement was false."""


@final
@define(slots=True)
class _World:
    path: Path
    living: dict[int, Fork] = field(factory=dict[int, Fork])
    acknowledged: list[str] = field(factory=list[str])
    may_lose: set[str] = field(factory=set[str])
    lost_log: bool = False
    damaged: bool = False
    unlooked: set[int] | None = None
    """The hosts that were open when the log went, and have not looked since."""
    lost_log_with: frozenset[str] = frozenset()
    heard: Counter[str] = field(factory=Counter[str])


def operations(hosts: int) -> list[tuple[str, int]]:
    """What happens to so many hosts: all open and accept, the first is killed, the others go on."""
    opening = [(what, number) for number in range(hosts) for what in ("open", "write")]
    return [*opening, *(("write", number) for number in range(hosts)), ("kill", 0)]


def cases(pairs: int, seed: int) -> Iterator[Case]:
    """Every single damage between any two operations, and so many pairs, drawn."""
    source = random.Random(seed)
    for hosts in (1, 2, 3):
        last = len(operations(hosts))
        singles = [Damage(file=file, way=way, at=at) for file in FILES for way in WAYS for at in range(1, last + 1)]
        for damage, newcomer, ending in itertools.product(singles, NEWCOMERS, ENDINGS):
            yield Case(hosts=hosts, damages=(damage,), newcomer=newcomer, ending=ending)
        for _ in range(pairs // 3):
            drawn = sorted(source.sample(singles, source.choice((2, 2, 3))), key=lambda damage: damage.at)
            newcomer, ending = source.choice(tuple(NEWCOMERS)), source.choice(ENDINGS)
            yield Case(hosts=hosts, damages=tuple(drawn), newcomer=newcomer, ending=ending)


def run(case: Case, folder: Path) -> Counter[str]:
    """Carry out one case; what was heard. Raises `NotKept`."""
    world = _World(path=folder / "agents.db")
    try:
        for at, (what, number) in enumerate([*operations(case.hosts), ("end", 0)]):
            for damage in case.damages:
                if damage.at == at:
                    _damage(world, damage)
                    _newcomer(world, case.newcomer)
            if what != "end":
                _operate(world, what, number)
        _end(world, case.ending)
        _check(world)
    except NotKept as exc:
        raise NotKept(f"{exc}\n    in {case}") from exc
    finally:
        for fork in world.living.values():
            fork.end()
    return world.heard


def _operate(world: _World, what: str, number: int) -> None:
    match what:
        case "open":
            _open(world, number)
        case "write":
            _write(world, number)
        case _:
            _kill(world, number)


def _open(world: _World, number: int) -> None:
    fork = Fork(host(world.path), world.living.values())
    said = fork.hear()
    _hear(world, "host", said, {"open"})
    if said != "open":
        fork.end()
        return
    world.living[number] = fork
    _settle_loss(world)  # it opened: what was lost till now is lost, and what it reads from now on is the truth
    if not world.acknowledged or world.lost_log:  # the runtime may have gone with the log
        fork.ask("spawn")


def _write(world: _World, number: int) -> None:
    fork = world.living.get(number)
    if fork is None:
        return
    key = f"k{sum(world.heard.values())}"
    said = fork.ask(key)
    _hear(world, "write", said, {"acknowledged", "gone"})
    if said != "gone" and world.unlooked is not None and number in world.unlooked:
        world.unlooked = None  # it has looked, and saved what was in the log
    if said == "acknowledged":
        world.acknowledged.append(key)
    else:
        _kill(world, number)  # it has stopped, or is about to


def _kill(world: _World, number: int) -> None:
    if number in world.living:
        world.living.pop(number).end()
    if world.unlooked is not None:
        world.unlooked.discard(number)
        _settle_loss(world)


def _settle_loss(world: _World) -> None:
    if world.unlooked is not None and not world.unlooked:
        world.may_lose.update(world.acknowledged)
        world.lost_log = True
        world.unlooked = None


def _damage(world: _World, damage: Damage) -> None:
    ends = {"lock": "-lock", "shm": "-shm", "log": "-wal"}
    if damage.file == "proofs":
        names = sorted(world.path.parent.glob(f"{world.path.name}-host-*"))
    else:
        names = [world.path.with_name(world.path.name + ends[damage.file])]
    for name in names:
        if not name.exists():
            continue
        aside = name.with_name("aside")
        if damage.way == "copied":
            shutil.copyfile(name, aside)
        elif damage.way == "emptied":
            aside.touch()
        if damage.way == "removed":
            name.unlink()
        else:
            aside.rename(name)
    if damage.file == "log" and damage.way != "copied":
        _lose_log(world)
    world.damaged = True
    if damage.file in ("log", "shm"):
        world.lost_log_with |= {f"{damage.file} {damage.way}"}
    if {"log", "shm"} <= {each.split()[0] for each in world.lost_log_with} and "shm removed" not in world.lost_log_with:
        world.lost_log = True
        world.may_lose.update(world.acknowledged)  # both replaced: the hosts cannot know who began the log anew


def _lose_log(world: _World) -> None:
    world.lost_log = True
    if world.damaged:  # a host may have stopped for what went before, and looks no more
        world.may_lose.update(world.acknowledged)
    if world.unlooked is None:
        world.unlooked = set(world.living)
        _settle_loss(world)


def _newcomer(world: _World, kind: str) -> None:
    fork = Fork(NEWCOMERS[kind](world.path), world.living.values())
    try:
        said = fork.hear()
        _hear(
            world,
            kind,
            said,
            {"open", "sound", "copied"} | ({"NotADatabase", "SchemaMismatch"} if world.lost_log else set()),
        )
        if said == "open":
            _settle_loss(world)
            key = f"n{sum(world.heard.values())}"
            if fork.ask("spawn") == "acknowledged" or world.acknowledged:
                said = fork.ask(key)
                _hear(world, "newcomer's write", said, {"acknowledged", "gone", "NotFound"})
                if said == "acknowledged":
                    world.acknowledged.append(key)
    finally:
        fork.end()


def _end(world: _World, ending: str) -> None:
    if ending != "kill":
        for number in list(world.living):
            _write(world, number)
    for number in list(world.living):
        if ending == "close":
            said = world.living[number].ask("")
            _hear(world, "close", said, {"closed", "gone"})
        _kill(world, number)


def _check(world: _World) -> None:
    fork = Fork(host(world.path))
    try:
        said = fork.hear()
        if said != "open":
            raise NotKept(f"nothing lives, and a host cannot open the store: {said}")
        fork.ask("")
    finally:
        fork.end()
    connection = apsw.Connection(str(world.path), apsw.SQLITE_OPEN_READWRITE)
    try:
        sound = connection.execute("PRAGMA integrity_check").fetchall()
        keys = {key for (key,) in connection.execute("SELECT idempotency_key FROM inputs")}
    finally:
        connection.close()
    if sound != [("ok",)]:
        raise NotKept(f"the file is damaged: {sound[:3]}")
    lost = set(world.acknowledged) - keys - world.may_lose
    if lost:
        raise NotKept(f"acknowledged, and not there: {sorted(lost)}")
    world.heard["lost with the log"] += len(set(world.acknowledged) - keys)
    world.heard["acknowledged"] = len(world.acknowledged)
    _newcomer_sound(world)


def _newcomer_sound(world: _World) -> None:
    fork = Fork(look(world.path))
    try:
        said = fork.hear()
    finally:
        fork.end()
    if said != "sound":
        raise NotKept(f"tenure verify says {said}")


def _hear(world: _World, who: str, said: str, good: set[str]) -> None:
    if said not in good and said not in HARMLESS:
        raise NotKept(f"a {who} says {said}")
    world.heard[f"{who}: {said}"] += 1


def sweep(chosen: Sequence[Case], say: Callable[[str], None]) -> Counter[str]:
    """Run the cases; what was heard in all of them. Raises `NotKept`."""
    heard: Counter[str] = Counter()
    began = time.monotonic()
    for number, case in enumerate(chosen, 1):
        with tempfile.TemporaryDirectory(prefix="tenure-names-") as folder:
            heard += run(case, Path(folder))
        if number % 200 == 0:
            say(f"{number} of {len(chosen)} cases, {time.monotonic() - began:.0f} s")
    return heard


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked; the exit code is 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m proof.names", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every so-manieth case only (1)")
    parser.add_argument("--first", type=int, default=0, help="begin with this one (0)")
    parser.add_argument("--pairs", type=int, default=1500, help="so many cases with two or three damages, drawn (1500)")
    parser.add_argument("--seed", type=int, default=0, help="what is drawn follows from it (0)")
    asked = parser.parse_args(arguments)
    chosen = list(cases(asked.pairs, asked.seed))[asked.first :: asked.every]
    try:
        heard = sweep(chosen, _say)
    except NotKept as exc:
        _say(f"NOT KEPT: {exc}")
        return 1
    for what, count in sorted(heard.items()):
        _say(f"    {count:6} {what}")
    _say(f"{len(chosen)} cases: no file was damaged, and no acknowledgement was false")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
