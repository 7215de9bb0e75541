"""Mending: a runtime whose facts here may be wrong, by a mistake of ours, is taken anew.

At most it meets what a dead host would cost it: callers that wait for its actor get `Internal`, its run is
charged with a crash, and a takeover reads anew what is stored. The last crash in a row holds it, so that a mistake that comes
back ends too. No other runtime has anything of it (design §3, "Whose failure").
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Final, final

import trio

from tenure.actors.facts import RuntimeFacts
from tenure.errors import Closed, Error, Internal, StoreBroken
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.runs.interrupted import ChargeCrash
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.seams.nursery import is_for_others
from tenure.persistence.store import Store
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.runs.behaviour import Behaviour

from .bell import Bell
from .owned import Owned
from .tasks import Tasks

MEND_S: Final = 1.0
"""Seconds until a runtime in doubt is taken anew, and until that is tried again."""


@final
class Mending:
    """Takes runtimes anew."""

    def __init__(
        self,
        store: Store,
        behaviours: Mapping[str, Behaviour],
        owned: Owned,
        tasks: Tasks,
        log: HostLog,
        bell: Bell,
    ) -> None:
        """Nothing is in doubt."""
        self._store = store
        self._behaviours = behaviours
        self._owned = owned
        self._tasks = tasks
        self._log = log
        self._bell = bell

    def distrust(self, runtime_id: LogicalRuntimeId, defect: BaseException) -> None:
        """A mistake of ours: what is published of this runtime need not be what is stored. Raises nothing."""
        self._log.defect(runtime_id, defect)
        facts = self._owned.find(runtime_id)
        if facts is None:
            return  # lost, or being taken anew already
        self._owned.lose(facts, as_defect(defect))
        self._tasks.start_soon(partial(self._take_anew, facts), partial(self.distrust, runtime_id))

    def net(self, runtime_id: LogicalRuntimeId) -> AbstractContextManager[None]:
        """What goes wrong inside is this runtime's alone: an error says that it went elsewhere, all else is our mistake."""
        return _Net(self, runtime_id)

    async def _take_anew(self, facts: RuntimeFacts) -> None:
        charged = False
        while not self._owned.owns(facts.runtime_id):
            await trio.sleep(MEND_S)
            try:
                charged = charged or await self._charge(facts)
                await self._bell.take_anew(facts.runtime_id, facts.kind)
            except (StoreBroken, Closed):
                raise
            except BaseException as exc:
                if is_for_others(exc):
                    raise
                self._log.defect(facts.runtime_id, exc)  # tried again while it lasts: someone waits for it
            else:
                return  # ours again; or another host's, or gone, and then not our trouble

    async def _charge(self, facts: RuntimeFacts) -> bool:
        """Charge the run in flight; whether that is settled."""
        policy = self._behaviours[facts.kind].restart
        change = ChargeCrash(runtime_id=facts.runtime_id, max_crashes=policy.max_crashes)
        commit = Commit(runtime_id=facts.runtime_id, fence_token=facts.fence_token, changes=(change,))
        try:
            await self._store.commit(commit)
        except (StoreBroken, Closed, *NOT_NOW):
            raise
        except Error as exc:
            if isinstance(exc, Internal):
                self._log.defect(facts.runtime_id, exc)
            return True  # another token, or no such run: there is nothing to charge
        return True


@final
class _Net:
    """See `Mending.net`."""

    __slots__ = ("_mending", "_runtime_id")

    def __init__(self, mending: Mending, runtime_id: LogicalRuntimeId) -> None:
        self._mending = mending
        self._runtime_id = runtime_id

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if error is None or isinstance(error, StoreBroken) or is_for_others(error):
            return False
        if not isinstance(error, Error):
            self._mending.distrust(self._runtime_id, error)
        return True
