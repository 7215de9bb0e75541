"""The hooks of a host: functions that are called with each happening, at once, where it takes place.

Where there are none, a part of a host asks one attribute and makes no value: ``if hooks.call is not None``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import final

from tenure.errors import InvalidInput
from tenure.persistence.model.events.happenings import Happening
from tenure.persistence.model.inputs.traceparent import check_traceparent

from .nursery import is_for_others

Carry = Callable[[str, str, str, str | None], str | None]
"""Gives the context of a new input: for a verb (``accept``, ``send``, ``ask``), a runtime, its kind, and a context above."""

Hook = Callable[[Happening], object]
"""Called on the loop of the host, and waited for: it must be quick, and may not block."""


@final
class Hooks:
    """Those of one host.

    Attributes:
        call: Calls every hook; None where there are none.
        carry: Asked for the ``traceparent`` of each new input; None where the host is not traced.
        failed: Called where a hook has raised, or `carry` has given what is no ``traceparent``; the host goes on.
    """

    __slots__ = ("_carries", "_hooks", "_lock", "call", "carry", "failed")

    def __init__(self) -> None:
        """No hook yet."""
        self.call: Callable[[Happening], None] | None = None
        self.carry: Carry | None = None
        self.failed: Callable[[BaseException], None] = _nothing
        self._hooks: tuple[Hook, ...] = ()
        self._carries: Hook | None = None  # whose `carry` it is
        self._lock = threading.Lock()  # fronts add from threads of the program

    def add(self, hook: Hook, carry: Carry | None = None) -> None:
        """Have a hook called from now on; once, however often it is added. From any thread. Raises `InvalidInput`.

        With it `carry` is asked for the context of new inputs, until the hook is removed; the one that was added last.
        """
        if not callable(hook):
            raise InvalidInput(detail="a hook is a function that takes a happening", field="hook")
        with self._lock:
            if hook not in self._hooks:
                self._hooks = (*self._hooks, hook)
            self.call = self._call
            if carry is not None:
                self._carries, self.carry = hook, partial(self._carry, carry)

    def remove(self, hook: Hook) -> None:
        """Call a hook no longer; does nothing for one that was not added. From any thread."""
        with self._lock:
            self._hooks = tuple([each for each in self._hooks if each != hook])
            self.call = self._call if self._hooks else None
            if self._carries == hook:
                self._carries = self.carry = None

    def _carry(self, carry: Carry, verb: str, runtime_id: str, kind: str, above: str | None) -> str | None:
        try:
            return check_traceparent(carry(verb, runtime_id, kind, above))
        except BaseException as exc:
            if is_for_others(exc):
                raise
            self.failed(exc)
            return above

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
