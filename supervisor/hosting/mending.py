"""Mending: a runtime of which this host does not know any more what is true, by a mistake of ours, is taken anew.

At most it meets what a dead host would cost it: whoever waits for its actor gets `Internal`, its run is
charged with a crash, and a takeover reads anew what is stored. The last crash in a row holds it, so that a mistake that comes
back ends too. No other runtime has anything of it (design §3, "Whose failure").
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, final

import trio

from tenure.actors.facts import RuntimeFacts
from tenure.errors import Closed, Error, StoreBroken
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.runs.runs import ChargeCrash
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.seams.nursery import is_for_others
from tenure.supervisor.fleet.host_watch import NOT_NOW

if TYPE_CHECKING:
    from tenure.supervisor.supervisor import Supervisor

MEND_S: Final = 1.0
"""Seconds until a runtime in doubt is taken anew, and until that is tried again."""


@final
class Mending:
    """Takes runtimes anew."""

    def __init__(self, supervisor: Supervisor) -> None:
        """Nothing is in doubt."""
        self._supervisor = supervisor

    def distrust(self, runtime_id: LogicalRuntimeId, defect: BaseException) -> None:
        """A mistake of ours: what is published of this runtime need not be what is stored. Raises nothing."""
        supervisor = self._supervisor
        supervisor.log.defect(runtime_id, defect)
        if not supervisor.owns(runtime_id):
            return  # lost, or being taken anew already
        facts = supervisor.facts(runtime_id)
        supervisor.lose(facts, as_defect(defect))
        supervisor.start_soon(partial(self._take_anew, facts), runtime_id)

    @contextmanager
    def net(self, runtime_id: LogicalRuntimeId) -> Generator[None]:
        """What goes wrong inside is this runtime's alone: an error says that it went elsewhere, all else is our mistake."""
        try:
            yield
        except StoreBroken:
            raise
        except Error:
            return
        except BaseException as exc:
            if is_for_others(exc):
                raise
            self.distrust(runtime_id, exc)

    async def _take_anew(self, facts: RuntimeFacts) -> None:
        supervisor, charged = self._supervisor, False
        while not supervisor.owns(facts.runtime_id):
            await trio.sleep(MEND_S)
            try:
                charged = charged or await self._charge(facts)
                await supervisor.takeovers.take_quietly(facts.runtime_id, facts.kind)
            except (StoreBroken, Closed):
                raise
            except BaseException as exc:
                if is_for_others(exc):
                    raise
                supervisor.log.defect(facts.runtime_id, exc)  # tried again while it lasts: someone waits for it
            else:
                return  # ours again; or another host's, or gone, and then not our trouble

    async def _charge(self, facts: RuntimeFacts) -> bool:
        """Charge the run in flight; whether that is settled."""
        policy = self._supervisor.behaviours[facts.kind].restart
        change = ChargeCrash(runtime_id=facts.runtime_id, max_crashes=policy.max_crashes)
        commit = Commit(runtime_id=facts.runtime_id, fence_token=facts.fence_token, changes=(change,))
        try:
            await self._supervisor.store.commit(commit)
        except (StoreBroken, Closed, *NOT_NOW):
            raise
        except Error:
            return True  # another token, or no such run: there is nothing to charge
        return True
