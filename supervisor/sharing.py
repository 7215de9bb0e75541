"""The verbs of a supervisor by which it leaves its runtimes to other hosts (design §25)."""

from __future__ import annotations

from tenure.persistence.model.arguments import checked
from tenure.persistence.model.numbers import check_seconds

from .monitoring import Monitoring


class Sharing(Monitoring):
    """A supervisor, as far as it shares work with other hosts."""

    @checked
    async def drain(self, *, drain_s: float | None = None) -> None:
        """Give every runtime of this host back, and take none until `undrain`; the host stays open. Done when this returns.

        Other hosts take over at once what has work. What is idle is given back first. A run goes on until it ends, or until
        all of it has reached a step that it has not begun, and its next owner begins that step; one that waits durably is put
        aside. A run that does neither in time is cut off after what it has recorded, which counts no attempt. `serve_queue`
        claims nothing meanwhile: a handler that runs may end within the same time, and is cancelled then, as where its call is
        cancelled: what it had is given back, and the attempt does not count. The host accepts as before, and its verbs go to
        the host that has the runtime.

        Args:
            drain_s: Seconds that runs and handlers have; None: those of `open_supervisor`.

        Raises:
            InvalidInput: A negative number of seconds.
            DiskFull, Contended: Something could not be given back, or the row of the host not be written; what was given back
                is, the host takes none, and another `drain` goes on.
            StoreBroken: The store has stopped.

        Each runtime is given back by one commit. Cancellation: what is given back stays so, the rest stays owned; the host
        takes and begins nothing until `undrain`, and another `drain` goes on.
        """
        if drain_s is not None:
            check_seconds(drain_s, "drain_s", zero=True)
        await self._host.handover.drain(drain_s)

    async def undrain(self) -> None:
        """Take runtimes again; ends a `drain` that is on its way. Raises as `drain`; nothing happens where it does not drain.

        Cancellation: before its commit is taken the host drains on, or is drained; afterwards it takes runtimes again.
        """
        await self._host.handover.undrain()
