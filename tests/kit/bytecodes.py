"""Counts the bytecodes of Python that work takes in all threads: no other load of a machine changes them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, final


@final
class Bytecodes:
    """Those that were executed while it was counting, in the thread that made it and in those that began since.

    Attributes:
        executed: How many.
        counting: Whether they are counted now.
    """

    def __init__(self) -> None:
        """Count nothing yet."""
        self.executed = 0
        self.counting = False

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        """What Python calls for each frame, and for each bytecode of one that began while it was counting."""
        if not self.counting:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.executed += event == "opcode"
        return self.trace


@contextmanager
def bytecodes() -> Generator[Bytecodes]:
    """Open what is to be counted inside."""
    counted = Bytecodes()
    threading.settrace(counted.trace)
    sys.settrace(counted.trace)
    try:
        yield counted
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
