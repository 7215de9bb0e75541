"""Readers at any pace, that leave off and begin again anywhere, hear what one hears that never lags, in that order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, final

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

import tenure
from tenure.errors import Error, PositionGone
from tenure.persistence.facets.output import reads
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.hosting import host
from tests.kit.shares import share

NAMES: Final = ("ada", "bob", "cyd")
INPUTS: Final = 60
QUICK: Final = tenure.RestartPolicy(max_attempts=3, backoff_s=0.3)


@final
@define(kw_only=True)
class Scene:
    """One seed: what a reader that never lags has heard of each runtime, and what was wrong with others.

    Attributes:
        trims: Whether old output goes meanwhile.
        over: Whether nothing more comes.
    """

    source: random.Random
    trims: bool
    over: bool = False
    heard: dict[str, list[tenure.OutputEntry]] = field(factory=lambda: {name: [] for name in NAMES})
    wrong: list[str] = field(factory=list[str])

    async def speak(self, run: tenure.Run) -> None:
        for _ in range(self.source.randrange(6)):
            await run.emit(
                "x" * self.source.choice((1, 10, 500, 2_000)), channel=self.source.choice(("output", "side"))
            )
            match self.source.randrange(10):
                case 0 | 1 | 2 | 3:
                    await run.flush()
                case 4 | 5:
                    await run.sleep(3 * self.source.random())
                case 6:
                    await run.checkpoint()
                case 7:
                    raise ValueError("not today")
                case _:
                    pass

    async def hear_all(self, supervisor: tenure.Supervisor, name: str) -> None:
        reader = (await supervisor.find(name)).follow(events=True)
        while True:
            self.heard[name].append(await anext(reader))

    async def hear_some(self, supervisor: tenure.Supervisor, name: str, channel: str | None, *, events: bool) -> None:
        """Read on from the last position, again and again."""
        runtime = await supervisor.find(name)
        seen: list[tenure.OutputEntry] = []
        while not self.over:
            reader = runtime.follow(seen[-1].position if seen else None, channel=channel, events=events)
            try:
                for _ in range(self.source.randrange(1, 30)):
                    with trio.move_on_after(self.source.choice((0.001, 2.0, 5.0))):
                        seen.append(await anext(reader))
            except PositionGone:
                if not self.trims:
                    self.wrong.append(f"{name}: nothing was to go")
                seen.clear()
            await trio.sleep(self.source.choice((0.0, 0.0, 5.0)))
            self._compare(name, seen, channel, events=events)

    def _compare(self, name: str, seen: Sequence[tenure.OutputEntry], channel: str | None, *, events: bool) -> None:
        wanted = [
            each
            for each in self.heard[name]
            if (events or each.kind not in ("run", "input"))
            and (each.kind != "data" or channel in (None, each.channel))
        ]
        begins = next((at for at, each in enumerate(wanted) if seen and each.position == seen[0].position), None)
        if begins is not None and list(seen)[: len(wanted) - begins] != wanted[begins : begins + len(seen)]:
            self.wrong.append(f"{name}: {len(seen)} entries from {seen[0].position} are not those that were written")

    async def give(self, hosts: Sequence[tenure.Supervisor]) -> None:
        for _ in range(INPUTS):
            await trio.sleep(1.5 * self.source.random())
            name, deadline_s = self.source.choice(NAMES), self.source.choice((None, None, 0.5, 3.0))
            lane = self.source.choice(("queue", "queue", "steer"))
            ticket = await self.source.choice(hosts).accept(name, "go", deadline_s=deadline_s, lane=lane)
            if self.source.random() < 0.2:
                with suppress(Error):  # it has ended by itself
                    await (await hosts[1].find(name)).cancel(ticket.input_id)
        await trio.sleep(60)
        self.over = True


@pytest.mark.slow
@pytest.mark.parametrize("seed", share(range(40), 40))
async def test_whoever_reads_at_whatever_pace_hears_what_was_written_in_its_order(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    source = random.Random(seed)
    monkeypatch.setattr(reads, "PAGE_CHUNKS", source.choice((2, 3, 500)))
    monkeypatch.setattr(reads, "PAGE_BYTES", source.choice((200, 3_000, reads.PAGE_BYTES)))
    entries = source.choice((40, 100_000))
    scene = Scene(source=source, trims=entries == 40)
    kept = tenure.Retention(output_entries=entries)
    behaviour = tenure.Behaviour(scene.speak, events=True, restart=QUICK, aside_after_s=1.0)
    async with (
        host(database, {"kind": behaviour}, retention=kept) as one,
        host(database, {}, retention=kept) as other,
    ):
        await one.spawn_many(NAMES, "kind")
        async with trio.open_nursery() as outer:
            for name in NAMES:
                outer.start_soon(scene.hear_all, other, name)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(scene.give, (one, other))
                for name in NAMES:
                    for events in (True, False):
                        where, channel = source.choice((one, other)), source.choice((None, "side"))
                        nursery.start_soon(partial(scene.hear_some, where, name, channel, events=events))
            outer.cancel_scope.cancel()
        assert not [problem for part in await verify_parts(one.store) for problem in part.problems]

    assert not scene.wrong
    for heard in scene.heard.values():
        assert [each.position for each in heard] == sorted({each.position for each in heard})
        ended = [each.value["input_id"] for each in heard if each.kind == "input"]
        assert len(ended) == len(set(ended))
