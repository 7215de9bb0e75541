"""Texts of exceptions, for people, whatever the exception is.

An exception of a user's code is an object of his: its text, its members, its traceback and even its class may raise. What
records a failure may not fail by that, so nothing here raises an `Exception`, and what stands in its place says so:
``(no text: AttributeError)``.

And what a reader without its key gets of what is sealed: it can be passed on, and not decoded, compared or hashed.
"""

from __future__ import annotations

import traceback
import types
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, final

from tenure.errors import Error, Internal, InvalidInput, KeyMissing

ERROR_LIMIT: Final = 10_000
"""Most characters of an error that are stored."""

FRAMES: Final = 4
"""Frames of a traceback that are stored with an error: the innermost ones, of the program and the libraries it uses."""

LEAVES: Final = 100
"""Most leaves of a group that are named in a text."""

YIELDED: Final = "trio.run received unrecognized yield message"
"""How trio's error begins where code hands up what trio does not know."""

_MACHINERY: Final = ("tenure", "trio", "outcome")

# What an exception holds, asked past whatever its class has put in the place of it.
_members: Final = vars(BaseExceptionGroup)["exceptions"].__get__
_traceback: Final = vars(BaseException)["__traceback__"].__get__
_cause: Final = vars(BaseException)["__cause__"].__get__
_context: Final = vars(BaseException)["__context__"].__get__
_exit_code: Final = vars(SystemExit)["code"].__get__
_name: Final = vars(type)["__name__"].__get__


def class_name(value: object) -> str:
    """The name of a value's class."""
    name: str = _name(type(value))
    return name


def text_of(error: BaseException) -> str:
    """What ``str(error)`` gives, as a plain text, or why there is none. Not yet fit to be stored: see `storable`."""
    try:
        return str.__str__(str(error))  # of a subclass, a plain one: its methods are not ours
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # noqa: BLE001 - the text of an exception may do anything, and is only a text
        return f"(no text: {class_name(exc)})"


def named(error: BaseException) -> str:
    """An exception as ``Class: text``."""
    text = text_of(error)
    return f"{class_name(error)}: {text}" if text else class_name(error)


def as_defect(error: BaseException) -> Internal:
    """The typed error of a mistake of ours, with what happened as its cause."""
    defect = Internal(detail=storable(named(error)))
    defect.__cause__ = error
    return defect


def as_refusal(error: Exception) -> Error:
    """The typed error of what a commit has raised: of the caller where no engine can store it, else of a mistake of ours."""
    if not isinstance(error, UnicodeEncodeError | OverflowError):
        return as_defect(error)
    # A lone surrogate, or an integer beyond 64 bits.
    refusal = InvalidInput(detail=f"it cannot be stored: {error}")
    refusal.__cause__ = error
    return refusal


def is_sound(error: BaseException) -> bool:
    """Whether an exception can be asked for what a loop asks it for: its text, its class and its traceback."""
    try:
        trace, _ = error.__traceback__, error.__class__
        repr(error)
        return error.with_traceback(trace) is error
    except BaseException:  # noqa: BLE001 - whatever it is: it is not sound
        return False


def in_place_of(error: BaseException) -> BaseException:
    """A sound exception that says what another one says: of the same meaning to the process, of a group with its leaves."""
    kind = type(error)
    if issubclass(kind, BaseExceptionGroup):
        sound = [each if is_sound(each) else in_place_of(each) for each in islice(leaves(error), LEAVES)]
        return BaseExceptionGroup(storable(named(error)), sound)
    if issubclass(kind, KeyboardInterrupt):
        made: BaseException = KeyboardInterrupt()
    elif issubclass(kind, SystemExit):
        made = SystemExit(_exit_code(error))
    else:
        made = RuntimeError(storable(named(error)))
    return made.with_traceback(_traceback(error))


def is_long(error: BaseException, most: int) -> bool:
    """Whether an exception comes of so many others, each raised from the next or while that was handled; also for a circle."""
    each: BaseException | None = error
    for _ in range(most):
        each = _cause(each) or _context(each)
        if each is None:
            return False
    return True


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group and of the groups in it, however deep, first to last; of another, itself."""
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if issubclass(type(each), BaseExceptionGroup):
            waiting.extend(reversed(_members(each)))
        else:
            yield each


def comes_of(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an exception is of a kind, or was raised from one of it or while that was handled; so for one leaf of a group."""
    waiting: list[BaseException | None] = [error]
    seen = set[int]()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        if issubclass(type(each), kind):
            return True
        seen.add(id(each))
        waiting += (_cause(each), _context(each))
        if issubclass(type(each), BaseExceptionGroup):
            waiting += _members(each)
    return False


def last_frames(error: BaseException) -> str:
    """Where an exception was raised, for people, in such a form: its innermost frames, file, line and function, or nothing.

    Of a group, where its first leaf was raised. Frames of the machinery that called the behaviour are left out.
    """
    try:
        first = next(leaves(error))
        frames = [frame for frame in traceback.walk_tb(_traceback(first)) if not _is_machinery(frame[0])]
        stack = traceback.StackSummary.extract(iter(frames[-FRAMES:]))
        return _storable("".join(stack.format()).rstrip()[-ERROR_LIMIT:])
    except Exception as exc:  # noqa: BLE001 - the lines come from the user's loaders; without them there is no place
        return f"(no traceback: {class_name(exc)})"


def storable(text: str) -> str:
    """A text for people, as any engine can store it, and not longer than it is worth. Raises `TypeError` for no text."""
    text = str.__str__(text)
    if len(text) > ERROR_LIMIT:
        text = f"{text[:ERROR_LIMIT]} and {len(text) - ERROR_LIMIT} characters more"
    return _storable(text)


def _is_machinery(frame: types.FrameType) -> bool:
    module: Any = frame.f_globals.get("__name__", "")
    return type(module) is str and module.partition(".")[0] in _MACHINERY


def _storable(text: str) -> str:
    # No lone surrogate has a place in UTF-8, and no NUL in PostgreSQL.
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


@final
class SealedBytes(bytes):
    """Bytes that are sealed with a key that this reader does not have."""

    key_id: str

    @classmethod
    def under(cls, key_id: str, data: bytes) -> SealedBytes:
        """What is stored, and the id of the key that it is sealed with."""
        made = cls(data)
        made.key_id = key_id
        return made


def sealed_text(key_id: str) -> str:
    """What stands for a text that is sealed: lists show it."""
    return f"(sealed with the key {key_id!r})"


def refuse_sealed(data: object) -> None:
    """Raises `KeyMissing` for what is sealed."""
    if isinstance(data, SealedBytes):
        raise KeyMissing(key_id=data.key_id)
