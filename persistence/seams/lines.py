"""Lines for operators in the loggers of Python: of what no caller hears."""

from __future__ import annotations

import logging
from typing import Final, final

from tenure.errors import CannotOpen, Error
from tenure.persistence.model.texts import in_place_of, is_long, named

from .nursery import is_for_others

STORE: Final = "tenure.store"

MOST_OTHERS: Final = 100
"""Others of which an exception may come that is written with all tracebacks; the last of a longer chain is written alone."""


def write_line(logger: str, level: int, text: str, error: BaseException | None = None, **fields: str) -> None:
    """Write a line, with the traceback of an error where one is given. Raises nothing that a handler raises.

    Some lines are written in the callback of a commit, or in a task of the host: a handler that raises is the program's
    mistake, and may not cost it the host. Handlers of the standard library report their own errors.
    """
    try:
        # In the loop: the traceback of 20,000 that were raised from one another kept siblings waiting for seconds.
        shown = in_place_of(error) if error is not None and is_long(error, MOST_OTHERS) else error
        logging.getLogger(logger).log(level, "%s", text, exc_info=shown, extra=fields)
    except BaseException as exc:
        if is_for_others(exc):
            raise


@final
class Unheard:
    """Errors that a task of the store meets and tries again after: no caller asked for its work, so none would hear of them."""

    def __init__(self, work: str) -> None:
        """`work` names it in the lines."""
        self._work = work
        self._met: set[type[Exception]] = set()

    def met(self, error: Exception) -> None:
        """Write a line, once for each class until it is over: a warning where the machine has no way now, else an error."""
        if type(error) in self._met:
            return
        self._met.add(type(error))
        passes = not isinstance(error, Error) or error.retryable or isinstance(error, CannotOpen)
        text = f"{self._work} failed and is tried again: {named(error).partition(chr(10))[0]}"
        write_line(STORE, logging.WARNING if passes else logging.ERROR, text, None if passes else error)

    def over(self) -> None:
        """It was done: say so where it had failed."""
        if self._met:
            self._met.clear()
            write_line(STORE, logging.INFO, f"{self._work} works again")
