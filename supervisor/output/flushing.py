"""Flushing: what runs have emitted goes to disk where no commit of theirs takes it along.

One task a host. What is followed waits for 20 ms at most, so that many words share a commit; what is not, for a
second. While anything waits that is not followed here, the task asks every 10 ms whether it is in another process, which leaves
10 ms for that one to see it. Where nothing waits the task sleeps.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Final, final

import trio

from tenure.persistence.model.events.happenings import OutputLanded
from tenure.persistence.model.output import Said
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.seams.hooks import Hooks

from .following import Followers
from .speech import Speech

FOLLOWED_S: Final = 0.02
"""Longest wait of an entry that is followed, in seconds."""

ASK_S: Final = 0.01
"""Seconds between two questions whether others follow; so long an entry waits at most that is followed in another process."""

UNFOLLOWED_S: Final = 1.0
"""Longest wait of one that is not."""


@final
class Flushing:
    """See `Flushes`. Made in the trio thread."""

    def __init__(self, followers: Followers, hooks: Hooks, *, shared: bool) -> None:
        """Nothing waits. Only of a shared store others are asked. The hooks are called with what has landed."""
        self._hooks = hooks
        self._asks = shared
        self.lock = threading.Lock()
        self.thread = threading.get_ident()
        self.token = trio.lowlevel.current_trio_token()
        self._followers = followers
        self._since: dict[Speech, float] = {}
        self._hurry = trio.Event()
        self._due_at = math.inf
        followers.on_follow = self._followed

    def has_said(self, speech: Speech, /, *, now: bool) -> None:
        """See `Flushes.has_said`."""
        if self._hooks.call is not None and speech.waits_since is None:
            speech.waits_since = trio.current_time()
        since = -math.inf if now else self._since.get(speech, trio.current_time())
        self._since[speech] = since
        if self._due(speech, since) < self._due_at:
            self._hurry.set()

    def on_disk(self, runtime_id: LogicalRuntimeId, /) -> None:
        """See `Flushes.on_disk`."""
        self._followers.stir(runtime_id)

    def landed(self, runtime_id: LogicalRuntimeId, entries: Sequence[Said], lag_s: float, /) -> None:
        """See `Flushes.landed`."""
        if self._hooks.call is not None:
            channels = tuple([each.channel for each in entries])
            self._hooks.call(OutputLanded(runtime_id=runtime_id, channels=channels, lag_s=lag_s))

    async def run(self) -> None:
        """Flush what is due, for as long as the host lives."""
        while True:
            now = trio.current_time()
            followed = self._followers.any_elsewhere
            for speech, since in list(self._since.items()):
                if not speech.waits:
                    del self._since[speech]
                elif self._due(speech, since) <= now or (followed and self._is_awaited(speech, since, now)):
                    del self._since[speech]
                    speech.flush_soon()
            self._due_at = min([self._due(*each) for each in self._since.items()], default=math.inf)
            self._hurry = trio.Event()
            ask_at = now + ASK_S if self._since and self._asks else math.inf
            with trio.CancelScope(deadline=min(self._due_at, ask_at)):
                await self._hurry.wait()

    def _is_awaited(self, speech: Speech, since: float, now: float) -> bool:
        return since + ASK_S <= now and self._followers.follows_elsewhere(speech.runtime_id)

    def _due(self, speech: Speech, since: float) -> float:
        return since + (FOLLOWED_S if self._followers.follows(speech.runtime_id) else UNFOLLOWED_S)

    def _followed(self) -> None:
        if self._since:
            self._hurry.set()
