"""A host for one verb: it opens a store that is there, runs no behaviour, takes nothing over and nothing away, and goes.

The command line and the console act through it: what they ask is carried out by the host that owns the runtime, or here where
no living host does.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tenure.persistence.model.lifecycles.retention import KEEP
from tenure.persistence.seams.seams import Seams
from tenure.persistence.upkeep.look import look_into

from .opening import open_supervisor
from .supervisor import Supervisor


@asynccontextmanager
async def visit(target: str | os.PathLike[str], *, seams: Seams | None = None) -> AsyncGenerator[Supervisor]:
    """A supervisor without behaviours on a store that is there and of this version; nothing is made and nothing migrated.

    Raises:
        Error: What `look_into` and `open_supervisor` raise.
        KeyboardInterrupt: SIGTERM has ended the body. For a host that is a normal exit; a verb has no answer.
    """
    is_done = False
    async with look_into(target, seams=seams):
        pass
    async with open_supervisor(target, behaviours={}, retention=KEEP, seams=seams, drain_s=0) as supervisor:
        yield supervisor
        is_done = True
    if not is_done:
        raise KeyboardInterrupt
