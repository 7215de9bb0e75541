"""What is promised of outputs: what was acknowledged is there, once and in its order, or below a floor."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from proof.promises.facet import FacetProof, Promised, Rows
from proof.promises.pruned import erased_runtimes
from proof.stories.words import Words, id_of
from tenure.persistence.facets.inbox import cancelling
from tenure.persistence.facets.output import output, reads
from tenure.persistence.model.output import EVENTS, OutputKind, Said, decode_chunk
from tenure.persistence.model.values import RunId

LATER: Final = 9e9
"""Unix seconds after which nothing of the story happens."""


def say(name: str, run_id: RunId, start: int, *entries: Said) -> output.AppendOutput:
    """What a run says from its entry of this number on."""
    return output.AppendOutput(
        runtime_id=id_of(name), run_id=run_id, speech=f"of {run_id}", attempt=1, start=start, entries=entries
    )


def word(text: str) -> Said:
    """Something that was emitted."""
    return Said(OutputKind.DATA, "output", "main", 0, f'"{text}"'.encode())


async def talk(words: Words) -> None:
    """Two runs say four words, the second and third twice, and drop what a step of theirs has said; the oldest words go."""
    await tell(words)
    await words.own("sam")
    for day in range(2):
        await words.accept("sam", "go")
        run_id = await words.begin("sam")
        spoken = [word(f"{each} of {day}") for each in range(4)]
        await words.write(say("sam", run_id, 0, *spoken[:2]))
        await words.write(say("sam", run_id, 1, *spoken[1:3]))
        await words.write(say("sam", run_id, 3, Said(OutputKind.RESTARTED, place="main/1", drop=1), spoken[3]))
        await words.finish("sam", run_id)
    oldest = await words.store.read(lambda statements: statements.all("output.old", after=0, before=LATER, count=3))
    await words.write(output.PruneOutput(chunks=tuple([row[0] for row in oldest]), before=LATER))


async def tell(words: Words) -> None:
    """A runtime with events: a run that fails and is tried again, and an input that is cancelled before a word comes twice."""
    await words.own("tia")
    await words.accept("tia", "go")
    run_id = await words.begin("tia", events=True)
    await words.write(say("tia", run_id, 0, word("first")))
    await words.fail("tia", run_id, retry_at=0.0)
    waits = await words.accept("tia", "wait")
    assert await words.begin("tia", events=True) == run_id
    await words.write(say("tia", run_id, 1, word("second")))
    await words.write(cancelling.CancelInput(runtime_id=id_of("tia"), input_id=waits))
    await words.write(say("tia", run_id, 1, word("second"), word("third")))
    await words.finish("tia", run_id)


async def talk_of_day(words: Words, day: int) -> None:
    """A run that says as much as the day is old."""
    await words.own("sam")
    await words.accept("sam", f"day {day}")
    run_id = await words.begin("sam")
    for number in range(day % 4):
        await words.write(say("sam", run_id, number, word(f"{number} of day {day}")))
    await words.finish("sam", run_id)


def said(change: output.AppendOutput, answer: int) -> Promised:
    """Each entry is on disk."""
    numbered = enumerate(change.entries, start=answer - len(change.entries))
    return [
        ("said", (change.runtime_id, change.speech, number, hashlib.sha256(each.value).digest()))
        for number, each in numbered
    ]


def check_output(rows: Rows) -> None:
    """Every chunk can be read, none is missing, and no entry of a speech stands twice or in another order."""
    found: dict[tuple[str, str, int], bytes] = {}
    totals: dict[str, int] = {}
    for runtime_id, speech, number, entries, total, body in rows.of(
        "SELECT runtime_id, speech, number, entries, total, body FROM output_chunks JOIN runtimes USING (runtime)"
        " ORDER BY chunk"
    ):
        before = totals.get(runtime_id, total - entries)
        assert total - entries == before, f"{total - entries - before} entries of {runtime_id} are missing"
        totals[runtime_id] = total
        own = [each for each in decode_chunk(body, runtime_id) if each.kind in (OutputKind.DATA, OutputKind.RESTARTED)]
        for place, each in enumerate(own, start=number - len(own)):
            assert (runtime_id, speech, place) not in found, f"entry {place} of {speech} stands twice"
            found[runtime_id, speech, place] = hashlib.sha256(each.value).digest()
    for (row,) in rows.of("SELECT runtime_id FROM runtimes"):
        reads.page(rows.statements, row, None)
    pruned = {row[0] for row in rows.of("SELECT runtime_id FROM output_floors JOIN runtimes USING (runtime)")}
    pruned |= erased_runtimes(rows)
    for runtime_id, speech, number, digest in rows.history.acknowledged("said"):
        stored = found.get((runtime_id, speech, number))
        assert stored == digest or (stored is None and runtime_id in pruned), f"entry {number} of {speech} is lost"
    rows.none(
        "SELECT run FROM runs u WHERE said IS NOT NULL AND outcome IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM output_chunks c WHERE c.runtime = u.runtime AND c.run_id = u.run_id AND c.speech = '')"
        " AND NOT EXISTS (SELECT 1 FROM output_floors f WHERE f.runtime = u.runtime)",
        "a run that has said something has ended, and does not say so",
    )
    for runtime, runtime_id in rows.of("SELECT runtime, runtime_id FROM runtimes WHERE events = 1"):
        if runtime_id not in pruned:
            _check_events(rows, runtime, runtime_id)


def _check_events(rows: Rows, runtime: int, runtime_id: str) -> None:
    told: dict[OutputKind, list[str]] = {kind: [] for kind in EVENTS}
    for (body,) in rows.of("SELECT body FROM output_chunks WHERE runtime = ? ORDER BY chunk", runtime):
        for each in decode_chunk(body, runtime_id):
            value = json.loads(each.value)
            if each.kind == OutputKind.INPUT:
                told[OutputKind.INPUT].append(value["input_id"])
            elif each.kind == OutputKind.RUN and value["state"] == "ended":
                told[OutputKind.RUN].append(each.place)
    ended = {
        OutputKind.INPUT: "SELECT input_id FROM inputs WHERE runtime = ? AND finished_at IS NOT NULL",
        OutputKind.RUN: "SELECT run_id FROM runs WHERE runtime = ? AND ended_at IS NOT NULL",
    }
    for kind, sql in ended.items():
        there = sorted(row[0] for row in rows.of(sql, runtime))
        assert sorted(told[kind]) == there, (
            f"of {runtime_id} each {kind} that has ended is {there}, and told {told[kind]}"
        )


PROOFS: Final = (
    FacetProof(
        name="output",
        story=talk,
        everyday=talk_of_day,
        promises={output.AppendOutput: said},
        check=check_output,
        quiet=(output.AppendOutput, output.PruneOutput),
    ),
)
