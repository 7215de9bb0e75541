"""Where the bytes of attachments stand: beside the database, under their digest."""

from __future__ import annotations

from typing import Protocol


class Blobs(Protocol):
    """Where the bytes of attachments stand. Blocking; each raises `CannotOpen`, `DiskFull` or `UnknownOutcome`.

    One on a server also raises `Contended`, where that does not answer.
    """

    def begin(self, made: str, /) -> None:
        """Begin to write bytes whose digest is not known yet, under a name of the caller's."""
        ...

    def write(self, made: str, offset: int, data: bytes, /) -> None:
        """Write a part of them."""
        ...

    def keep(self, made: str, digest: str, /) -> None:
        """Put them on disk and give them their digest as a name; on disk too when this returns."""
        ...

    def replace(self, made: str, digest: str, /) -> None:
        """As `keep`, in the place of what has the name: the same bytes in another form. One or the other is there always."""
        ...

    def drop(self, made: str, /) -> None:
        """Let go of what was begun and not kept; does nothing for others, and raises nothing."""
        ...

    def read(self, digest: str, offset: int, amount: int, /) -> bytes | None:
        """The bytes there, fewer where they end before; None where there are none under this digest."""
        ...

    def exists(self, digest: str, /) -> bool:
        """Whether there are bytes under this digest."""
        ...

    def remove(self, digest: str, /) -> None:
        """Remove them; on disk when this returns. Does nothing where there are none."""
        ...

    def take(self, digest: str, taker: str, /) -> None:
        """Take them from under their digest, for `taker`: a host looks whether it may remove them only then.

        They are kept until `drop_taken` or `give_back`. Does nothing where there are none under this digest, also where they
        are taken already.
        """
        ...

    def give_back(self, digest: str, taker: str, /) -> None:
        """Put what was taken under its digest again, where nothing has come there since; on disk when this returns."""
        ...

    def drop_taken(self, digest: str, taker: str, /) -> None:
        """Remove what was taken; on disk when this returns. Does nothing where nothing was."""
        ...

    def taken(self) -> list[tuple[str, str]]:
        """What was taken and neither dropped nor given back: the digest and the taker of each."""
        ...

    def names(self) -> list[str]:
        """Every digest. Files of others beside them are not named."""
        ...

    def unfinished(self) -> list[str]:
        """The names of what was begun and neither kept nor dropped."""
        ...
