"""The trunk of the tree: what every error is, and the three branches that callers catch."""

from __future__ import annotations

from functools import partial
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, ClassVar, Final, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE: Final = __name__.rpartition(".")[0]
"""Where errors are public, and by which pickles and tracebacks name them, whichever module of it they stand in."""


@dataclass_transform(kw_only_default=True)
class Error(Exception):
    """Whatever this library raises on purpose. Abstract: a concrete class below says what happened.

    A concrete class declares its fields as annotations and its text as a template over them; its constructor takes the
    fields by keyword. Two errors are equal only when they are the same object. Copies and pickles keep class, fields and
    notes, and drop traceback and cause, as those of every exception do.

    Attributes:
        retryable: The same call, unchanged, may succeed later.
        message: The text for people, a format string over the fields. Concrete classes alone have it.
    """

    __module__ = PACKAGE
    retryable: ClassVar[bool] = False
    message: ClassVar[str]
    __signature__: ClassVar[Signature]

    def __init__(self, **fields: object) -> None:
        """Keep the fields, and make the text of them; only concrete classes get here.

        Raises:
            TypeError: The class is abstract, a field is missing, or there is no such field.
        """
        kind = type(self)
        if not hasattr(kind, "message"):
            text = f"{kind.__name__} is abstract; raise one of the classes below it"
            raise TypeError(text)
        bound = signature(kind).bind(**fields)
        bound.apply_defaults()
        self._fields = bound.arguments
        vars(self).update(self._fields)
        super().__init__(self._text())

    def __init_subclass__(cls) -> None:
        """The signature that the annotated fields give, and the public name of a class of ours."""
        if cls.__module__.rpartition(".")[0] == PACKAGE:
            cls.__module__ = PACKAGE
        cls.__signature__ = Signature(
            [
                Parameter(name, Parameter.KEYWORD_ONLY, default=vars(cls).get(name, Parameter.empty), annotation=kind)
                for name, kind in vars(cls).get("__annotations__", {}).items()
            ]
        )

    def _text(self) -> str:
        """The text for people."""
        return self.message.format_map(self._fields)

    @property
    def fields(self) -> dict[str, object]:
        """What the error was built from: its class called with these builds it again."""
        return dict(self._fields)

    def __repr__(self) -> str:
        """Show the class and its fields, in the form that would build the error again."""
        fields = ", ".join(f"{name}={value!r}" for name, value in self._fields.items())
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Callable[[], Error], tuple[()], dict[str, object] | None]:
        """Build the error again from its fields.

        BaseException would call the class with `args`, which is the message, and fail.
        """
        notes = self.__dict__.get("__notes__")
        state: dict[str, object] | None = {"__notes__": list(notes)} if notes else None
        kind: Callable[..., Error] = type(self)
        return partial(kind, **self._fields), (), state


class StoreError(Error):
    """The store could not do what was asked, or could not be opened. Abstract."""


class WriteFailed(StoreError):
    """A commit was refused or failed, and nothing of it was written. Abstract.

    Its neighbours in the same group may well have landed. An outcome that cannot be known is never
    this, but `StoreBroken` with `in_doubt`.
    """


class ReadFailed(StoreError):
    """What was asked for is there, or was, and cannot be given. Abstract.

    Absent is a different answer: `NotFound`, or None where the verb says so.
    """
