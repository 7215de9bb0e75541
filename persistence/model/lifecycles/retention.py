"""Retention: how long what has ended is kept, as a value; and what may go at a time, by that alone."""

from __future__ import annotations

from typing import Final, final

from attrs import field, frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.numbers import count, seconds

KEYS_KEPT_S: Final = 30 * 86_400.0
"""Seconds that an idempotency key outlives its input, where nothing else is said."""

NEVER: Final = 0.0
"""Nothing ended before this time."""


@final
@frozen(kw_only=True, slots=True)
class Retention:
    """How long a store keeps what has ended; it goes by itself afterwards. For a whole store, by the wall clock.

    What is unfinished stays, whatever its age, and what waits for a person, or is still asked for or referred to. Conversations
    stay, but for messages that are on no path. Raises `InvalidInput` for a number that makes no sense.

    Attributes:
        runs_s: Runs, with receipts, steps, sends and inputs, and whatever else has ended; None: for ever.
        output_s: Entries of output.
        output_entries: So many of one runtime; older ones go with what it says next.
        dead_letters_s: Dead letters, with their runs; None: for ever. It goes with `runs_s`: a receipt leaves its chain after
            all that stand before it.
        keys_s: Idempotency keys, from when their input has gone, and stamps of turns, from when they were made.
    """

    runs_s: float | None = field(default=None, validator=seconds(none=True))
    output_s: float = field(default=604_800.0, validator=seconds())
    output_entries: int = field(default=100_000, validator=count())
    dead_letters_s: float | None = field(default=None, validator=seconds(none=True))
    keys_s: float = field(default=KEYS_KEPT_S, validator=seconds())

    def __attrs_post_init__(self) -> None:
        """Raises `InvalidInput` where dead letters go and their runs do not."""
        if self.dead_letters_s is not None and self.runs_s is None:
            detail = "dead letters go from their chain after the runs before them: give runs_s too"
            raise InvalidInput(detail=detail, field="dead_letters_s")

    def ages(self, now: float) -> Ages:
        """What may go at a time, unix seconds."""
        return Ages(
            now=now,
            before=_ago(now, self.runs_s),
            keys_before=_ago(now, self.keys_s),
            dead_before=_ago(now, self.dead_letters_s),
            output_before=_ago(now, self.output_s),
        )

    @property
    def shortest_s(self) -> float:
        """The shortest time for which anything is kept."""
        return min(each for each in (self.runs_s, self.dead_letters_s, self.keys_s, self.output_s) if each is not None)


@final
@frozen(kw_only=True, slots=True)
class Ages:
    """How old something must be to be pruned; unix seconds.

    Attributes:
        now: The wall clock.
        before: Only what ended before this.
        keys_before: Forget keys, and what is known as long as they are, before this.
        dead_before: Of dead letters only those that ended before this.
        output_before: Only output from before this.
    """

    now: float
    before: float
    keys_before: float
    dead_before: float
    output_before: float

    def reached(self, ended_at: float, *, dead: bool) -> bool:
        """Whether what ended then, and is a dead letter or not, is old enough to go."""
        return ended_at < self.limit(dead=dead)

    def limit(self, *, dead: bool) -> float:
        """Before when a dead letter, or something else, has ended that may go."""
        return self.dead_before if dead else self.before

    @property
    def latest(self) -> float:
        """Nothing that ended at this time or later goes."""
        return max(self.before, self.dead_before)


def _ago(now: float, kept_s: float | None) -> float:
    return NEVER if kept_s is None else max(NEVER, now - kept_s)


def asked_for(now: float, older_than_s: float, *, dead_letters: bool) -> Ages:
    """What may go where a person asks for what is older than this."""
    before = now - older_than_s
    return Ages(
        now=now,
        before=before,
        keys_before=now - KEYS_KEPT_S,
        dead_before=before if dead_letters else NEVER,
        output_before=before,
    )
