"""What is pruned, as a part of the scenario with every kind of commit."""

from __future__ import annotations

import trio

from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.runs import (
    dead_letters,
)
from tenure.persistence.model.values import (
    RunApplyBoundary,
)

from .contracts import take_words_back
from .graphs import tell_passing_turn
from .words import Words, id_of


async def old_times(words: Words) -> None:
    """A life that ended long ago, and is pruned: two runs, inputs without one, and words that were taken back."""
    await words.own("old")
    for name, key in (("first", "k-old"), ("second", None)):
        await words.accept("old", name, key=key)
        run_id = await words.begin("old")
        await words.step("old", run_id, "look", "main/1", result=b'"seen"')
        message = f'"{name}"'.encode()
        await words.write(
            sessions.AppendMessages(runtime_id=id_of("old"), messages=(message,), run_id=run_id),
            words.receipt("old", run_id, RunApplyBoundary.RUN_CHECKPOINT),
        )
        await words.finish("old", run_id)
    unwanted = await words.accept("old", "unwanted", key="k-unwanted")
    await words.write(CancelInput(runtime_id=id_of("old"), input_id=unwanted))
    await words.write(dead_letters.DropDeadLetter(runtime_id=id_of("old"), input_id=unwanted))
    await take_words_back(words.store, words.retried)
    await trio.sleep(1)
    await words.retried(words.store.prune, 0)
    await tell_passing_turn(words.store, words.retried)
