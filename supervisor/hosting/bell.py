"""The bell of a host: rung where something waits for a runtime, answered by what sets runtimes to work.

What a run sends rings it for the target, whose run may send again: of two parts that need each other, neither can take the
other in its constructor. So what rings takes the bell, and what answers it is connected when it is made, after all who ring.
"""

from __future__ import annotations

from typing import Protocol, final

from tenure.persistence.model.values import LogicalRuntimeId


class Answers(Protocol):
    """What answers the bell."""

    def wake(self, runtime_id: LogicalRuntimeId, *, steered: bool = False) -> None:
        """Something has come into this inbox."""
        ...

    async def take_quietly(self, runtime_id: LogicalRuntimeId, kind: str) -> None:
        """Take a runtime over, unless another host has it or it is gone."""
        ...


@final
class Bell:
    """Rings for what is connected."""

    def __init__(self) -> None:
        """Nothing is connected; until then nothing rings, since no runtime is owned."""
        self._answers: Answers | None = None

    def connect(self, answers: Answers) -> None:
        """Let this answer from now on."""
        self._answers = answers

    def wake(self, runtime_id: LogicalRuntimeId, *, steered: bool = False) -> None:
        """Something has come into this inbox, or waits there again."""
        if self._answers is not None:
            self._answers.wake(runtime_id, steered=steered)

    async def take_anew(self, runtime_id: LogicalRuntimeId, kind: str) -> None:
        """A runtime of this host is in doubt: have it taken over from itself."""
        if self._answers is not None:
            await self._answers.take_quietly(runtime_id, kind)
