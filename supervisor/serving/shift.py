"""The shift of a host: whether its services claim queued work, and the end of what they have claimed where it drains.

A host that drains claims nothing more, and what it has claimed is done there, or given back (design §25).
"""

from __future__ import annotations

import operator
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol, final

from tenure.actors.watched import Watched
from tenure.persistence.seams.nursery import together


class Service(Protocol):
    """A service, as far as it has claims."""

    async def wait_idle(self) -> None:
        """Wait until it has none."""
        ...

    async def give_back(self) -> None:
        """Cancel the handlers, and give back what they had."""
        ...


@final
class Shift:
    """That of one host, for all of its services."""

    def __init__(self) -> None:
        """They claim."""
        self._is_over = Watched(False)
        self._services: set[Service] = set()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is claimed, for now."""
        return self._is_over.value

    def end(self) -> None:
        """Claim nothing more."""
        self._is_over.value = True

    def begin(self) -> None:
        """Claim again."""
        self._is_over.value = False

    async def wait_end(self) -> None:
        """Wait until nothing more is claimed."""
        await self._is_over.wait_value(bool)

    async def wait_begin(self) -> None:
        """Wait until there is claimed."""
        await self._is_over.wait_value(operator.not_)

    @contextmanager
    def joined_by(self, service: Service) -> Generator[None]:
        """A service serves in the block."""
        self._services.add(service)
        try:
            yield
        finally:
            self._services.discard(service)

    async def wait_idle(self) -> None:
        """Wait until no service has a claim."""
        await together(*(each.wait_idle for each in self._services))

    async def give_back(self) -> None:
        """Give back what they have. Raises `DiskFull` and `Contended` where that cannot be written."""
        await together(*(each.give_back for each in self._services))
