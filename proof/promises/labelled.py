"""Labels: none that was acknowledged is lost or goes back, and index and set say the same."""

from __future__ import annotations

from typing import Final

from proof.stories.words import KIND, Words, id_of
from tenure.persistence.facets.inbox import newcomers
from tenure.persistence.facets.ownership import ownership
from tenure.persistence.facets.records import labels
from tenure.persistence.facets.records.labels import Labelled, Relabel
from tenure.persistence.model.values import SessionId

from .facet import FacetProof, Promised, Rows


def relabelled(change: Relabel, answer: Labelled) -> Promised:
    """The labels have this revision, or a later one."""
    return [("labels", (change.runtime_id, answer.revision, answer.labels))]


def check_labels(rows: Rows) -> None:
    """Every set is whole, every label belongs to one, and nothing went back."""
    known = dict(rows.of("SELECT runtime_id, runtime FROM runtimes"))
    revisions = dict(rows.of("SELECT runtime, revision FROM label_sets"))
    found = {name: labels.of_runtime(rows.statements, runtime, name) for name, runtime in known.items()}
    for runtime_id in rows.history.acknowledged("labelled"):
        assert known.get(runtime_id) in revisions, f"the labels of {runtime_id} are lost"
    for runtime_id, revision, told in rows.history.acknowledged("labels"):
        stored = revisions.get(known.get(runtime_id), 0)
        assert stored >= revision, f"the labels of {runtime_id} were at {revision}, and went back"
        assert stored > revision or found[runtime_id] == dict(told), f"the labels of {runtime_id} are others"
    for name, value in rows.of("SELECT DISTINCT name, value FROM labels"):
        listed = list(labels.having(rows.statements, ((name, value),), ""))
        right = sorted(each for each, has in found.items() if has.get(name) == value)
        assert listed == right, f"{name}={value} is listed of {listed}, and not of {right}"
    rows.none("SELECT label FROM labels WHERE runtime NOT IN (SELECT runtime FROM label_sets)", "a label of no set")


async def label(words: Words) -> None:
    """Of runtimes that are made by an owner and by an input; then changed, one by one and at once."""
    take = ownership.TakeOwnership(
        runtime_id=id_of("lia"),
        kind=KIND,
        epoch=words.new_id(),
        session_id=SessionId(words.new_id()),
        labels=(("tenant", "acme"), ("tier", "1")),
    )
    (owned,) = await words.write(take)
    words.tokens["lia"] = owned.fence_token
    await words.accept("mo", "of another", newcomer=_newcomer(words))
    for day in range(3):
        await day_of_labels(words, day)
    await words.write(Relabel(runtime_id=id_of("lia"), changed=(("day", None), ("tenant", None), ("tier", None))))
    await words.write(Relabel(runtime_id=id_of("lia"), changed=(("tenant", "beta"),)))


def _newcomer(words: Words) -> newcomers.Newcomer:
    return newcomers.Newcomer(kind=KIND, session_id=SessionId(words.new_id()), labels=(("tenant", "acme"),))


async def day_of_labels(words: Words, day: int) -> None:
    """A label that changes every day, and one that comes and goes."""
    odd = str(day) if day % 2 else None
    await words.write(Relabel(runtime_id=id_of("lia"), changed=(("day", str(day)), ("odd", odd))))


PROOFS: Final = (
    FacetProof(
        name="labels",
        story=label,
        everyday=day_of_labels,
        promises={Relabel: relabelled},
        check=check_labels,
    ),
)
