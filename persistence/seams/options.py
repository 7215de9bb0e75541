"""What a store is opened with beside its limits: what only one engine has, what seals its contents, and who looks into it."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen


@frozen(kw_only=True, slots=True)
class EngineOptions:
    """The base of every engine's options; `Seams.engine` carries them to the engine that a target leads to."""


class Codec(Protocol):
    """Seals contents under the keys that it has, each with an id. `tenure.crypto.AesGcm` is one.

    A store calls it from several threads at a time, and with each value that it writes or reads.
    """

    def seal(self, plain: bytes, place: bytes, /) -> tuple[str, bytes]:
        """Seal under the key of today.

        Args:
            plain: What is to be sealed.
            place: Where it will stand. Not secret; `unseal` must fail with any other one.

        Returns:
            The id of the key, 1 to 64 characters of ASCII, and what `unseal` makes `plain` of.
        """
        ...

    def unseal(self, key_id: str, sealed: bytes, place: bytes, /) -> bytes:
        """Undo `seal`.

        Raises:
            KeyMissing: There is no key of this id.
            WrongKey: There is one, and it is another than that which sealed it.
            ValueError: It was changed, or stood in another place.
        """
        ...


class Observer(Protocol):
    """Looks into each store that opens with these seams, from below its verbs: a proof, or a test."""

    def opened(self, inside: object, /) -> None:
        """A store is open; `inside` is its `Inside`, of `tenure.persistence.writing.inside`. May not raise."""
        ...
