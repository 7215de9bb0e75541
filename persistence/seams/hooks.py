"""The hooks of a host: functions that are called with each happening, at once, where it takes place.

Where there are none, a part of a host asks one attribute and makes no value: ``if hooks.call is not None``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import final

from tenure.errors import InvalidInput
from tenure.persistence.model.events.happenings import Happening

from .nursery import is_for_others

Hook = Callable[[Happening], object]
"""Called on the loop of the host, and waited for: it must be quick, and may not block."""


@final
class Hooks:
    """Those of one host.

    Attributes:
        call: Calls every hook; None where there are none.
        failed: Called where a hook has raised; the host goes on.
    """

    __slots__ = ("_hooks", "_lock", "call", "failed")

    def __init__(self) -> None:
        """No hook yet."""
        self.call: Callable[[Happening], None] | None = None
        self.failed: Callable[[BaseException], None] = _nothing
        self._hooks: tuple[Hook, ...] = ()
        self._lock = threading.Lock()  # fronts add from threads of the program

    def add(self, hook: Hook) -> None:
        """Have a hook called from now on; once, however often it is added. From any thread. Raises `InvalidInput`."""
        if not callable(hook):
            raise InvalidInput(detail="a hook is a function that takes a happening", field="hook")
        with self._lock:
            if hook not in self._hooks:
                self._hooks = (*self._hooks, hook)
            self.call = self._call

    def remove(self, hook: Hook) -> None:
        """Call a hook no longer; does nothing for one that was not added. From any thread."""
        with self._lock:
            self._hooks = tuple([each for each in self._hooks if each != hook])
            self.call = self._call if self._hooks else None

    def _call(self, happening: Happening) -> None:
        for hook in self._hooks:
            try:
                hook(happening)
            except BaseException as exc:
                if is_for_others(exc):
                    raise
                self.failed(exc)  # some are called in the callback of a commit: it may not cost the program its host


def _nothing(_: BaseException) -> None:
    """No supervisor is open on this store."""
