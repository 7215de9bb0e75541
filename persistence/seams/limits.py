"""The limits of a store, each with a name and a default (design §3)."""

from __future__ import annotations

from typing import Final, final

from attrs import field, frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.numbers import (
    count,
    milliseconds,
    plain_number,
    seconds,
    shown,
)

VERDICT_S: Final = 30.0
"""The default of `Limits.verdict_s`: a disk that does not answer for so long will not."""

POLL_S: Final = 0.05
"""The default of `Limits.poll_s`, where no hint comes."""


@final
@frozen(kw_only=True, slots=True)
class Limits:
    """Everything that could grow, and how far; how long it is kept is said by a `Retention`.

    Raises `InvalidInput` for a number that makes no sense.

    Attributes:
        payload_bytes: One payload, message or result, encoded.
        group_bytes: Payload bytes in one group; a larger commit is a group by itself.
        group_commits: Commits in one group.
        inbox_inputs: Unfinished inputs of one runtime that are not delayed; binds accept, never sends.
        delayed_inputs: Delayed inputs of one runtime; binds accept and sends.
        step_threads: Sync steps that run at once in one host, each in a thread; more wait.
        step_slot_s: Seconds after which a sync step lends its place to a runtime that waits with none, and runs on beside it.
        given_up: Sync steps whose run has ended without them and that hold a thread still. Beyond it no sync step begins,
            and none lends its place.
        run_steps: Recorded entries of one run; at half a line is logged.
        state_names: Names that have a value in the own state of one runtime.
        output_bytes: Output of one run that waits to be written; `Run.emit` waits for room.
        waiting_commits: Commits that wait for the writer; `accept`, verbs and contracts wait for room, a run does not.
        waiting_bytes: Payload bytes in them.
        busy_s: Seconds to wait for another process's write lock before `Contended`.
        verdict_s: Seconds that a cancelled waiter still waits for the verdict on a commit that was taken, and a host for a
            server that has to give one. None: 30, and on a server, which may be started again meanwhile, 120.
        read_connections: Connections that read beside the writer.
        passivate_s: Seconds after which an actor that is not used is dropped.
        lease_s: How long a host's lease holds; a host that renewed nothing for so long is judged lapsed (design §4).
        renew_s: Most seconds between two renewals of a host.
        rewrite_bytes: Largest database that an erasure writes anew; commits wait meanwhile, about a second for 100 MB.
        query_connections: Connections of `Store.read_connection` at one time; more wait.
        query_rows: Rows of one query of `Store.read_connection`.
        poll_s: Seconds between two looks at what other hosts of a shared store wrote. None: 0.05; and of a host that hears
            their hints, on a server, 1 (see `PostgresOptions.hints`).
    """

    payload_bytes: int = field(default=16 * 1024 * 1024, validator=count())
    group_bytes: int = field(default=8 * 1024 * 1024, validator=count())
    group_commits: int = field(default=512, validator=count())
    inbox_inputs: int = field(default=10_000, validator=count())
    delayed_inputs: int = field(default=100_000, validator=count())
    step_threads: int = field(default=40, validator=count())
    step_slot_s: float = field(default=30.0, validator=seconds())
    given_up: int = field(default=100, validator=count())
    run_steps: int = field(default=10_000, validator=count())
    state_names: int = field(default=10_000, validator=count())
    output_bytes: int = field(default=1024 * 1024, validator=count())
    waiting_commits: int = field(default=4_096, validator=count())
    waiting_bytes: int = field(default=64 * 1024 * 1024, validator=count())
    busy_s: float = field(default=5.0, validator=seconds(zero=True))
    verdict_s: float | None = field(default=None, validator=seconds(none=True))
    read_connections: int = field(default=2, validator=count())
    rewrite_bytes: int = field(default=256 * 1024 * 1024, validator=count())
    query_connections: int = field(default=4, validator=count())
    query_rows: int = field(default=100_000, validator=count())
    passivate_s: float = field(default=60.0, validator=seconds())
    lease_s: float = field(default=15.0, validator=seconds())
    renew_s: float = field(default=5.0, validator=seconds())
    poll_s: float | None = field(default=None, validator=seconds(none=True))

    @property
    def verdict_wait_s(self) -> float:
        """`verdict_s` as it is used."""
        return VERDICT_S if self.verdict_s is None else self.verdict_s

    @property
    def poll_wait_s(self) -> float:
        """`poll_s` as it is used where no hint comes."""
        return POLL_S if self.poll_s is None else self.poll_s

    @property
    def busy_ms(self) -> int:
        """`busy_s` as engines take it: for ever is 24 days."""
        return milliseconds(self.busy_s)

    def __attrs_post_init__(self) -> None:
        """Raises `InvalidInput` for a lease that ends before it is renewed."""
        lease_s, renew_s = plain_number(self.lease_s), plain_number(self.renew_s)
        if lease_s is None or renew_s is None or lease_s <= renew_s:
            detail = f"a lease of {shown(self.lease_s)} s ends before {shown(self.renew_s)} s are over"
            raise InvalidInput(detail=detail, field="renew_s")
