"""An engine, and a look, through a codec."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import final

from tenure.errors import Internal
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.door import Look
from tenure.persistence.engines.engine import (
    Engine,
    QueryConnectionOfItsOwn,
    ReadConnection,
    StoredBytes,
    WriteConnection,
)
from tenure.persistence.engines.listeners import Listeners
from tenure.persistence.engines.proofs import HostProofs
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.options import Codec
from tenure.persistence.seams.seams import read_clock

from .blobs import SealedBlobs
from .connections import SealedReader, SealedWriter
from .envelope import Envelope
from .keyring import begin_sealing, envelope_of, sealing_of
from .plans import plans


@final
class SealedEngine:
    """See `Engine`. Opening it gives a store that has no codec one, where no other host has it open.

    Attributes:
        codec: What seals.
        envelope: Of the store; once it is open.
    """

    def __init__(self, inner: Engine, codec: Codec, source: random.Random, wall_clock: Callable[[], float]) -> None:
        """Keep what opening needs; touch nothing."""
        self.name = inner.name
        self.requires_network = inner.requires_network
        self.blobs: Blobs = inner.blobs
        self.codec = codec
        self._inner = inner
        self._random = source
        self._wall_clock = wall_clock
        self._envelope: Envelope | None = None

    @property
    def envelope(self) -> Envelope:
        """See above."""
        if self._envelope is None:
            raise Internal(detail="an envelope is asked for before its store is open")
        return self._envelope

    @property
    def durability(self) -> DurabilityClass:
        """See `Engine.durability`."""
        return self._inner.durability

    @property
    def hosts(self) -> HostProofs:
        """See `Engine.hosts`."""
        return self._inner.hosts

    @property
    def listeners(self) -> Listeners:
        """See `Engine.listeners`."""
        return self._inner.listeners

    @property
    def authority_key(self) -> str | None:
        """See `Engine.authority_key`."""
        return self._inner.authority_key

    @property
    def shared(self) -> bool:
        """See `Engine.shared`."""
        return self._inner.shared

    @property
    def alone(self) -> bool:
        """See `Engine.alone`."""
        return self._inner.alone

    def free_bytes(self) -> int | None:
        """See `Engine.free_bytes`."""
        return self._inner.free_bytes()

    def stored_bytes(self) -> StoredBytes | None:
        """See `Engine.stored_bytes`."""
        return self._inner.stored_bytes()

    def share(self) -> None:
        """See `Engine.share`."""
        self._inner.share()

    def open(self) -> WriteConnection:
        """See `Engine.open`.

        Raises:
            KeyMissing, WrongKey, Corrupt: The key of the store cannot be had.
            Contended: It has no codec, and others have it open.
        """
        connection = self._inner.open()
        try:
            found = sealing_of(connection) or begin_sealing(
                connection, self.codec, self._random, read_clock(self._wall_clock), alone=self.alone
            )
            self._envelope = envelope_of(found, self.codec)
            sealed = SealedWriter(connection, self._envelope, plans())
        except BaseException:
            connection.close(checkpoint=False)
            self._inner.close()
            raise
        self.blobs = SealedBlobs(self._inner.blobs, self._envelope)
        return sealed

    def open_reader(self) -> ReadConnection | None:
        """See `Engine.open_reader`."""
        reader = self._inner.open_reader()
        return None if reader is None else SealedReader(reader, self.envelope, plans())

    def open_query(self) -> QueryConnectionOfItsOwn | None:
        """See `Engine.open_query`: a user's SQL gets what is stored."""
        return self._inner.open_query()

    def mark_broken(self, detail: str) -> None:
        """See `Engine.mark_broken`."""
        self._inner.mark_broken(detail)

    def close(self) -> None:
        """See `Engine.close`."""
        self._inner.close()


@final
class SealedLook:
    """See `Look`. Without a codec it shows what stands in the clear, and that the rest is sealed."""

    def __init__(self, inner: Look, codec: Codec | None) -> None:
        """Touch nothing yet."""
        self._inner = inner
        self._codec = codec
        self._envelope: Envelope | None = None

    def open(self) -> tuple[ReadConnection, bool]:
        """See `Look.open`. Raises as `SealedEngine.open`, where there is a codec."""
        connection, alone = self._inner.open()
        try:
            connection.begin_read()
            try:
                found = sealing_of(connection)
            finally:
                connection.end_read()
            if found is None:
                return connection, alone
            self._envelope = envelope_of(found, self._codec)
            return SealedReader(connection, self._envelope, plans()), alone
        except BaseException:
            connection.close()
            raise

    @property
    def listeners(self) -> Listeners:
        """See `Look.listeners`."""
        return self._inner.listeners

    @property
    def blobs(self) -> Blobs:
        """See `Look.blobs`."""
        return self._inner.blobs if self._envelope is None else SealedBlobs(self._inner.blobs, self._envelope)

    def free_bytes(self) -> int | None:
        """See `Engine.free_bytes`."""
        return self._inner.free_bytes()

    def stored_bytes(self) -> StoredBytes | None:
        """See `Engine.stored_bytes`."""
        return self._inner.stored_bytes()

    def close(self) -> None:
        """See `Look.close`."""
        self._inner.close()
