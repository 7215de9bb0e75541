"""Payloads between a behaviour's own class and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.codec import decode_brought, encode
from tenure.persistence.model.texts import text_of

from .classes import Classes, Misfit, name_of
from .instances import check_whole, hides_keys

Fits = tuple[tuple[str, str], ...]
"""Kinds that take a payload, each with the version of its behaviour."""


@final
class PayloadType:
    """What the payloads of one kind are: any JSON, or instances of one class."""

    def __init__(self, cls: Any, classes: Classes, version: str = "") -> None:
        """For payloads of `cls`; None takes any JSON value as it is.

        Raises:
            InvalidInput: Nothing can be made of that class.
        """
        self._cls = cls
        self._classes = classes
        self.version = version
        self._keyed: Any = None
        if cls is not None:
            classes.check_parts(cls, "payload")
            self._keyed = cls if hides_keys(cls) else None

    @property
    def name(self) -> str:
        """Of the class, for people."""
        return name_of(self._cls)

    def encode(self, payload: object) -> bytes:
        """Encode a payload, given as an instance or as JSON that makes one.

        Raises:
            InvalidInput: It has no JSON form, or does not fit the class.
        """
        if self._cls is None:
            return encode(payload, "payload", self._classes.encode_hook)
        data = self.form(payload)
        check_whole(payload, self.decode(data, "given"), "payload")
        return data

    def form(self, payload: object) -> bytes:
        """Encode a payload, whether or not it fits the class. Raises `InvalidInput` where it has no JSON form."""
        try:
            return self._form_as(payload, None)
        except InvalidInput:
            if self._keyed is None:
                raise
            return self._form_as(payload, self._keyed)

    def _form_as(self, payload: object, cls: Any) -> bytes:
        try:
            plain = self._classes.plain(payload, cls)
        except Exception as exc:  # a caller's class may raise anything here, in the caller's own task
            raise InvalidInput(detail=f"no JSON form: {text_of(exc)}", field="payload") from exc
        return self._classes.encode(plain, "payload")

    def decode(self, data: bytes, input_id: str) -> Any:
        """Decode a payload whose digest was checked. Raises `InvalidInput` where it does not fit, or is not JSON."""
        value = decode_brought(data, "payload", f"the payload of input {input_id}")
        if self._cls is None:
            return value
        try:
            return self._classes.structure(value, self._cls, "payload")
        except Misfit as exc:
            raise InvalidInput(detail=str(exc), field="payload") from exc

    def takes(self, data: bytes) -> bool:
        """Whether an encoded payload fits."""
        try:
            self.decode(data, "given")
        except InvalidInput:
            return False
        return True

    def same(self, stored: bytes, given: bytes) -> bool:
        """Whether the class makes the same of two payloads: a field that one of them lacks may have a default."""
        if self._cls is None:
            return stored == given
        try:
            first, second = (self.form(self.decode(each, "given")) for each in (stored, given))
        except InvalidInput:
            return False
        return first == second


@final
@frozen(kw_only=True, slots=True)
class Kinds:
    """What a run knows of payloads: those of this kind, and which other kinds take what it sends.

    Attributes:
        own: What its inputs are.
        all: What the payloads of each kind of this host are.
    """

    own: PayloadType
    all: Mapping[str, PayloadType]

    def fits(self, data: bytes) -> Fits:
        """The kinds that take an encoded payload, each with the version of its behaviour."""
        return fits(self.all, data)


def fits(types: Mapping[str, PayloadType], data: bytes) -> Fits:
    """The kinds that take an encoded payload, each with the version of its behaviour."""
    return tuple([(kind, each.version) for kind, each in types.items() if each.takes(data)])
