"""What a run has said before, where it enters again."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Unreadable
from tenure.persistence.facets.output import reads
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.facets.runs.runs import RunBegun
from tenure.persistence.reading.patience import patiently
from tenure.persistence.store import Store
from tenure.supervisor.output.saying import Saying
from tenure.supervisor.output.speech import Flushes, Speech
from tenure.supervisor.runs.recording.attention import NeedsAttention


def begin_speech(store: Store, actor: RuntimeActor, begun: RunBegun, flushes: Flushes, attempt: int) -> Speech:
    """What an entering of a run says, from its first word on."""
    return Speech(
        actor.facts.runtime_id,
        begun.run_id,
        store.seams.new_id(),
        attempt,
        submit=actor.channel.submit,
        flushes=flushes,
        limit=store.limits.output_bytes,
    )


async def drop_said(saying: Saying, store: Store, begun: RunBegun, recorded: Iterable[RecordedEntry]) -> None:
    """Say first of all what of earlier enterings of a run is to be dropped; it has said something.

    Raises:
        NeedsAttention: What was said before cannot be read.
    """
    read = partial(reads.of_run, runtime=begun.runtime, run_id=begun.run_id, since=begun.said or 0)
    try:
        saying.drop(recorded, await patiently(lambda: store.read(read)))
    except Unreadable as exc:
        message = f"what the run has said cannot be read: {exc}"
        raise NeedsAttention(message) from exc
