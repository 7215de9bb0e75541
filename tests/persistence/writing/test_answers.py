"""What a commit answers is asked by change, wherever that stands in it."""

from __future__ import annotations

import pytest

from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.inbox.inputs import AcceptedInput, AcceptInput
from tenure.persistence.store import Store
from tests.kit.stores import message, name, own


def say(text: bytes) -> AppendMessages:
    return AppendMessages(runtime_id=name("a"), messages=(text,))


async def test_every_change_is_answered_under_itself_and_not_under_its_like(store: Store) -> None:
    token = await own(store)
    one, two, twin = say(b"said"), say(b"said"), say(b"said")

    result = await store.commit(Commit(runtime_id=name("a"), fence_token=token, changes=(one, two)))

    assert result.answers((two, one)) == (2, 1)
    assert result.of_kind(AppendMessages) == [(one, 1), (two, 2)]
    assert result.of_kind(AcceptInput) == []
    with pytest.raises(LookupError, match="AppendMessages"):
        result.answer(twin)


async def test_a_repeat_answers_the_change_that_was_found_to_be_known(store: Store) -> None:
    token = await own(store)
    await store.commit(message(store, "m"))
    first, (known,) = say(b"never"), message(store, "m").changes

    result = await store.commit(Commit(runtime_id=name("a"), fence_token=token, changes=(first, known)))

    answer: AcceptedInput = result.answer(known)
    assert answer.deduplicated
    assert not result.written
    with pytest.raises(LookupError):
        result.answer(first)
