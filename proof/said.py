"""What is promised of outputs: what was acknowledged is there, once and in its order, or below a floor."""

from __future__ import annotations

import hashlib
from typing import Final

from tenure.persistence.facets.output import output, reads
from tenure.persistence.model.output import OutputKind, Said, decode_chunk
from tenure.persistence.model.values import RunId

from .facet import FacetProof, Promised, Rows
from .pruned import erased_runtimes
from .story_words import Words, id_of

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
        own = [each for each in decode_chunk(body, runtime_id) if each.kind not in (OutputKind.BEGUN, OutputKind.ENDED)]
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
