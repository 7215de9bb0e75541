"""The line of a host for hints: NOTIFY and LISTEN, on one more connection.

Each host listens on one channel, named by the schema of the store and the key of its row. A NOTIFY is a transaction by itself,
after the commit that it is about: inside of one it would take a lock of the whole database up to the end of COMMIT. It keeps
nothing, so its transaction waits for no disk and no standby.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any, Final, final

import msgspec
import psycopg
from psycopg import pq

from tenure.persistence.engines.engine import Again, Row
from tenure.persistence.engines.listeners import Elsewhere, Hint
from tenure.persistence.engines.postgres.connecting import Connecting
from tenure.persistence.engines.postgres.protocol.values import array_of

MOST_BYTES: Final = 7_000
"""Of one hint; the server takes 8,000. What is awaited and does not fit is not said."""

_SETTINGS: Final = "SET synchronous_commit = off; SELECT pg_notification_queue_usage()"
"""A queue of hints that was full stays so, also when all have read it, until a NOTIFY succeeds, or its usage is asked for."""

_SAY: Final = b"""
SELECT pg_notify(CAST($1 AS text) || CAST(said.host AS text), said.words)
FROM unnest(CAST($2 AS bigint[]), CAST($3 AS text[])) AS said(host, words)
UNION ALL
SELECT pg_notify(CAST($1 AS text) || CAST(h.host AS text), $4)
FROM hosts h WHERE CAST($4 AS text) IS NOT NULL AND h.closed_at IS NULL AND h.lost_at IS NULL AND h.host <> CAST($5 AS bigint)
"""


@final
class _Words(msgspec.Struct, omit_defaults=True):
    """What a hint says.

    Attributes:
        host: Key of the row of who gives it.
        awaits: Runtimes of which that host awaits something.
        spare: Milliseconds for which that host needs no hints.
    """

    host: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    awaits: list[str] = []
    spare: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Words)

_FAILED: Final = pq.ExecStatus.FATAL_ERROR


@final
class ServerLine:
    """See `HintLine`. Made on an executor, used in the loop.

    Attributes:
        host: Key of the row of the host that it is of.
        channel: Where that host listens.
    """

    def __init__(self, connecting: Connecting, host: int) -> None:
        """Open it. Raises `Again`, and what `Connecting.connect` raises."""
        schema = blake2b(connecting.target.schema.encode(), digest_size=6).hexdigest()
        self._channels = f"tenure {schema} "
        self.host = host
        self.channel = f"{self._channels}{host}"
        self._connection = connecting.connect(writes=False)
        self._pg = self._connection.pgconn
        try:
            self._connection.execute(f'{_SETTINGS}; LISTEN "{self.channel}"'.encode())
            self._pg.nonblocking = 1
            self.is_busy = False  # see `HintLine.is_busy`
            self._send({host: ()}, None)
        except psycopg.Error as exc:
            self._connection.close()
            raise Again(str(exc).strip()) from exc

    def fileno(self) -> int:
        """See `HintLine.fileno`."""
        try:
            return self._pg.socket
        except psycopg.Error as exc:
            raise Again(str(exc).strip()) from exc

    def say(self, hosts: Mapping[int, Collection[str]], everyone: Collection[str] | None, spare_s: float = 0.0) -> None:
        """See `HintLine.say`."""
        try:
            self._send(hosts, everyone, spare_s)
        except psycopg.Error as exc:
            raise Again(str(exc).strip()) from exc

    def flush(self) -> bool:
        """See `HintLine.flush`."""
        try:
            return bool(self._pg.flush())
        except psycopg.Error as exc:
            raise Again(str(exc).strip()) from exc

    def hear(self) -> Sequence[Hint]:
        """See `HintLine.hear`."""
        pg, heard = self._pg, list[Hint]()
        try:
            pg.consume_input()
            while self.is_busy and not pg.is_busy():
                result = pg.get_result()
                if result is None:
                    self.is_busy = False
                elif result.status == _FAILED:
                    raise Again(result.error_message.decode("utf-8", "replace").strip())
            while (notified := pg.notifies()) is not None:
                heard.append(hint_of(notified.extra, self.host))
        except psycopg.Error as exc:
            raise Again(str(exc).strip()) from exc
        return heard

    def close(self) -> None:
        """See `HintLine.close`."""
        self._connection.close()

    def _send(
        self, hosts: Mapping[int, Collection[str]], everyone: Collection[str] | None, spare_s: float = 0.0
    ) -> None:
        spare = int(1000 * spare_s)
        words = [self._words(each, spare) for each in hosts.values()]
        self._pg.send_query_params(
            _SAY,
            [
                self._channels.encode(),
                array_of([str(each) for each in hosts]).encode(),
                array_of(words).encode(),
                None if everyone is None else self._words(everyone, spare).encode(),
                str(self.host).encode(),
            ],
        )
        self.is_busy = True

    def _words(self, awaited: Collection[str], spare: int) -> str:
        left = MOST_BYTES
        fits: list[str] = []
        for each in awaited:
            left -= len(_ENCODER.encode(each)) + 1
            if left < 0:
                break
            fits.append(each)
        return _ENCODER.encode(_Words(host=self.host, awaits=fits, spare=spare)).decode()


def hint_of(words: bytes, host: int) -> Hint:
    """What a hint to a host says. All who may connect to the database can give one: what cannot be read is a hint as well."""
    try:
        said = _DECODER.decode(words)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Hint()
    return Hint(host=said.host, awaits=said.awaits, spare_s=said.spare / 1000, own=said.host == host)


def elsewhere(locked: Iterable[Row], reached: Collection[str], host: int) -> Elsewhere:
    """Of the runtimes that a group of a host reaches those of others, by the rows that it has locked."""
    owners: dict[str, int | None] = dict[Any, Any](locked)
    return {each: owner for each in reached if (owner := owners.get(each)) != host}
