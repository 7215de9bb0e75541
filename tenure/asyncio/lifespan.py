"""The lifespan of a web application: it begins with a supervisor, and a supervisor that fails ends the server with it.

A server goes on serving when the lifespan of its application fails after the start: every request would get an error for
ever, and what watches the process would see nothing. So the server is asked to end, by the signal with which its operator
would do it.

What serves listens. A test client has no socket that does, calls the application by itself, and shows its test what the
lifespan raised: a signal would end the tests, at once or a second later on a loop that lasts for all of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, final

from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams
from tenure.supervisor import opening
from tenure.supervisor.runs.behaviour import Given

from .hosting import open_host
from .supervisor import Supervisor

BY_ITSELF_S: Final = 1.0
"""So long a server has that ends by itself, as one that has not begun to serve does: it gets no signal."""

DESCRIPTORS: Final = ("/proc/self/fd", "/dev/fd")
"""Where a system lists the open files of a process."""

Lifespan = Callable[[object], AbstractAsyncContextManager[dict[str, Supervisor]]]
"""What Starlette, FastAPI and their like take as `lifespan`; they put what it gives into ``request.state``."""


def lifespan(  # noqa: PLR0913 - as `open_supervisor`
    target: str | os.PathLike[str],
    *,
    behaviours: Mapping[str, Given],
    version: str = "",
    durability: DurabilityClass | str | None = None,
    limits: Limits | None = None,
    retention: Retention | None = None,
    seams: Seams | None = None,
    drain_s: float = opening.DRAIN_S,
    systemd: bool = False,
    tune_collector: bool = False,
) -> Lifespan:
    """The lifespan of an application, around `open_supervisor`.

        app = Starlette(routes=..., lifespan=tenure.asyncio.lifespan("agents.db", behaviours={"chat": chat}))

    Requests find the supervisor as ``request.state.supervisor``. A store that stops, or a supervisor that fails, while the
    application serves, sends SIGTERM to this process: the server finishes what it has and ends, uvicorn by that signal and so
    not with exit code 0. A process in which no socket listens is that of a test client, and gets none. What `open_supervisor`
    raises at the start leaves as it is, and the server does not start.

    What is to run beside the application, `serve_queue` say, belongs into a lifespan of the program, with this one outermost:

        @asynccontextmanager
        async def lifespan(app):
            async with hosted(app) as state, asyncio.TaskGroup() as beside:
                serving = beside.create_task(state["supervisor"].serve_queue("mail/", deliver))
                yield state
                serving.cancel()

    What such a task raises closes the supervisor, and ends the server as well: where its loop still runs a second later. What
    raises before the application serves, or after, so ends no process that goes on without it.

    Args:
        target: See `open_supervisor`.
        behaviours: See `open_supervisor`; empty for a web process beside workers, which accepts with ``kind=``.
        version: See `open_supervisor`.
        durability: See `open_supervisor`.
        limits: See `open_supervisor`.
        retention: See `open_supervisor`.
        seams: See `open_supervisor`; among them the codec that seals what is stored.
        drain_s: See `open_supervisor`.
        systemd: See `open_supervisor`; with several workers the unit says ``NotifyAccess=all``.
        tune_collector: See `open_supervisor`.
    """
    opened = partial(
        opening.open_supervisor,
        target,
        behaviours=behaviours,
        version=version,
        durability=durability,
        limits=limits,
        retention=retention,
        seams=seams,
        drain_s=drain_s,
        systemd=systemd,
        tune_collector=tune_collector,
    )

    @asynccontextmanager
    async def hosted(_application: object) -> AsyncGenerator[dict[str, Supervisor]]:
        server = _Server()
        try:
            async with open_host(opened, server.end) as supervisor:
                server.serves = True
                yield {"supervisor": supervisor}
        except Exception:  # also of what a program has put around or beside it: nothing serves requests any more
            asyncio.get_running_loop().call_later(BY_ITSELF_S, server.end)
            raise

    return hosted


@final
class _Server:
    """The server of this process.

    Attributes:
        serves: Whether it has begun to serve, and was not asked to end.
    """

    def __init__(self) -> None:
        self.serves = False

    def end(self, _: object = None) -> None:
        """Ask it to end, once: at the failure and not after its runs, whose clean-up may hang."""
        if self.serves and listens():  # else it may be about to, and is looked at once more
            self.serves = False
            os.kill(os.getpid(), signal.SIGTERM)


def listens() -> bool:
    """Whether a socket of this process listens; also True where the system does not say."""
    for folder in DESCRIPTORS:
        try:
            files = [*Path(folder).iterdir()]
        except OSError:  # it has none, or no descriptor is left to list them with
            continue
        return any(_listens(int(each.name)) for each in files if each.name.isdecimal())
    return True


def _listens(descriptor: int) -> bool:
    # Not of a duplicate: there may be no descriptor left, which is why all this ends.
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        blocks = os.get_blocking(descriptor)
        found = socket.socket(fileno=descriptor)
    except OSError:  # closed meanwhile, as that of the listing is
        return False
    try:
        return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # of a kind that accepts nothing
        return False
    finally:
        found.detach()
        os.set_blocking(descriptor, blocks)  # a default timeout of the program's has changed it
