"""Retention: how long what has ended is kept, as a value; and what may go at a time, by that alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast, final

from attrs import Attribute, field, frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.numbers import count, is_a, seconds, shown
from tenure.persistence.model.texts import text_of

KEYS_KEPT_S: Final = 30 * 86_400.0
"""Seconds that an idempotency key outlives its input, where nothing else is said."""

NEVER: Final = 0.0
"""Nothing ended before this time."""


def by_kind(_instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Raises `InvalidInput` unless it gives kinds retentions that name no kinds themselves."""
    if not is_a(value, Mapping):
        raise InvalidInput(detail=f"{shown(value)} is not a mapping of kinds to a Retention each", field=attribute.name)
    for kind, each in cast("Mapping[object, object]", value).items():
        if not isinstance(kind, str) or not kind or "\0" in kind:
            raise InvalidInput(detail=f"{shown(kind)} is not a kind", field=attribute.name)
        if not isinstance(each, Retention) or each.kinds:
            detail = f"what is kept of the kind {shown(kind)} is a Retention that names no kinds"
            raise InvalidInput(detail=detail, field=attribute.name)


def copied(value: Any) -> Any:
    """A mapping that stays as it was given; what is none is refused by `by_kind`."""
    if not is_a(value, Mapping):
        return value
    try:
        return dict(cast("Mapping[Any, Any]", value))
    except Exception as exc:  # the caller's own mapping
        raise InvalidInput(detail=f"it cannot be read: {text_of(exc)}", field="kinds") from exc


@final
@frozen(kw_only=True, slots=True)
class Retention:
    """How long a store keeps what has ended; it goes by itself afterwards. By the wall clock, of a whole store or by kind.

    What is unfinished stays, whatever its age, and what waits for a person, or is still asked for or referred to. Conversations
    stay, but for messages that are on no path. Give every host of a store the same: each takes what its own says may go.
    Raises `InvalidInput` for a number that makes no sense.

    Attributes:
        runs_s: Runs, with receipts, steps, sends and inputs, and whatever else has ended; None: for ever.
        output_s: Entries of output.
        output_entries: So many of one runtime; older ones go with what it says next.
        dead_letters_s: Dead letters, with their runs; None: for ever. It goes with `runs_s`: a receipt leaves its chain after
            all that stand before it.
        keys_s: Idempotency keys, from when their input has gone, and stamps of turns, from when they were made.
        kinds: Of runtimes of these kinds, what stands here in place of all numbers above: of their runs, dead letters, keys,
            output, and messages that are on no path. What belongs to no runtime goes by the numbers above, and so do
            stamps of turns and occurrences of schedules.
    """

    runs_s: float | None = field(default=None, validator=seconds(none=True))
    output_s: float = field(default=604_800.0, validator=seconds())
    output_entries: int = field(default=100_000, validator=count())
    dead_letters_s: float | None = field(default=None, validator=seconds(none=True))
    keys_s: float = field(default=KEYS_KEPT_S, validator=seconds())
    kinds: Mapping[str, Retention] = field(
        factory=dict[str, "Retention"], converter=copied, validator=by_kind, hash=False
    )

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
            kinds={kind: each.ages(now) for kind, each in self.kinds.items()},
        )

    @property
    def shortest_s(self) -> float:
        """The shortest time for which anything is kept, of any kind."""
        own = [each for each in (self.runs_s, self.dead_letters_s, self.keys_s, self.output_s) if each is not None]
        return min(*own, *[each.shortest_s for each in self.kinds.values()])


KEEP: Final = Retention(output_s=math.inf, output_entries=2**62, keys_s=math.inf)
"""Nothing goes by itself."""


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
        kinds: Of runtimes of these kinds, what holds in place of all that.
    """

    now: float
    before: float
    keys_before: float
    dead_before: float
    output_before: float
    kinds: Mapping[str, Ages] = field(factory=dict[str, "Ages"])

    def of(self, kind: str | None) -> Ages:
        """What may go of the runtimes of a kind; None: of those without one, and of what belongs to none."""
        return self if kind is None else self.kinds.get(kind, self)

    @property
    def widest(self) -> Ages:
        """Nothing goes, of any kind, that may not go by this."""
        every = (self, *self.kinds.values())
        return Ages(
            now=self.now,
            before=max(each.before for each in every),
            keys_before=max(each.keys_before for each in every),
            dead_before=max(each.dead_before for each in every),
            output_before=max(each.output_before for each in every),
        )

    @property
    def output_of_kinds(self) -> Mapping[str, float]:
        """`output_before` of each kind that has its own."""
        return {kind: each.output_before for kind, each in self.kinds.items()}

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


def asked_for(now: float, older_than_s: float, *, dead_letters: bool, kinds: Sequence[str] | None = None) -> Ages:
    """What may go where a person asks for what is older than this: of all, or of runtimes of these kinds alone.

    Raises `InvalidInput` for an age that is not a number of seconds, or below 0.
    """
    if not 0 <= older_than_s < float("inf"):
        raise InvalidInput(detail="an age is a number of seconds, 0 or more", field="older_than_s")
    before = _ago(now, older_than_s)
    wanted = Ages(
        now=now,
        before=before,
        keys_before=_ago(now, KEYS_KEPT_S),
        dead_before=before if dead_letters else NEVER,
        output_before=before,
    )
    if kinds is None:
        return wanted
    return Ages(
        now=now,
        before=NEVER,
        keys_before=NEVER,
        dead_before=NEVER,
        output_before=NEVER,
        kinds=dict.fromkeys(kinds, wanted),
    )
