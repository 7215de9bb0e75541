"""Payloads between a user's own classes and JSON, by cattrs."""

from __future__ import annotations

from typing import Any, final

from cattrs import transform_error
from cattrs.errors import BaseValidationError
from cattrs.preconf.json import make_converter

from tenure.errors import InvalidInput
from tenure.persistence.model.codec import (
    decode,
    encode,
)


@final
class PayloadType:
    """What the payloads of one kind are: any JSON, or instances of one class."""

    def __init__(self, cls: type[Any] | None) -> None:
        """For payloads of `cls`; None takes any JSON value as it is."""
        self._cls = cls
        self._converter = make_converter(forbid_extra_keys=True, detailed_validation=True)

    def encode(self, payload: object) -> bytes:
        """Encode a payload, given as an instance or as JSON that makes one.

        Raises:
            InvalidInput: It has no JSON form, or does not fit the class.
        """
        if self._cls is None:
            return encode(payload, "payload")
        try:
            data = encode(self._converter.unstructure(payload), "payload")
        except (TypeError, ValueError, AttributeError) as exc:
            raise InvalidInput(detail=str(exc), field="payload") from exc
        self._structure(decode(data, "payload", "given"), self._cls)
        return data

    def decode(self, data: bytes, input_id: str) -> Any:
        """Decode a stored payload. Raises `InvalidInput` where it does not fit, `Corrupt` where it is no JSON."""
        value = decode(data, "payload", input_id)
        return value if self._cls is None else self._structure(value, self._cls)

    def _structure(self, value: Any, cls: type[Any]) -> Any:
        try:
            return self._converter.structure(value, cls)
        except BaseValidationError as exc:
            raise InvalidInput(detail="; ".join(transform_error(exc, path="payload")), field="payload") from exc
        except Exception as exc:
            # cattrs lets pass what a user's own hook or constructor raises; for this input it means the same.
            raise InvalidInput(detail=f"{type(exc).__name__}: {exc}", field="payload") from exc
