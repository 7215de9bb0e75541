"""The batch of a run, as its behaviour sees it: what it has to work on, what joins it, and what it has rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import final

from tenure.errors import InvalidInput
from tenure.persistence.facets.inbox.batches import BatchMember
from tenure.persistence.facets.runs.following.followed import Followed
from tenure.persistence.facets.runs.runs import RunBegun
from tenure.persistence.model.numbers import is_a
from tenure.persistence.model.texts import storable
from tenure.persistence.model.values import (
    HeldReason,
    InputId,
    InputPhase,
)
from tenure.supervisor.accepting.payloads import PayloadType
from tenure.supervisor.runs.recording.attention import NeedsAttention

from .run_input import (
    RunInput,
    read_input,
    read_input_anyhow,
)


@final
class Batch:
    """What was staged when the run began, and what has joined it since.

    Attributes:
        inputs: The former, less those whose payload does not fit the behaviour; they are rejected.
        contributing: The ids of everything that the behaviour was given so far.
        ended: What is rejected, with its error, or answered, with its encoded result, and not on disk yet.
        deadlines: Of its members, where they have one.
    """

    def __init__(self, begun: RunBegun, payload_type: PayloadType, followed: Followed | None = None) -> None:
        """Nothing has joined yet; what joined in an earlier entry of the run is in `begun`, and joins again in its replay."""
        self._payload_type = payload_type
        # Of texts alone: such a dict is nothing to the collector of cycles, and a set is.
        self._members: dict[InputId, None] = {}
        self._over: dict[InputId, None] = {}
        self._joined: dict[int, list[BatchMember]] = {}
        self._named = 0
        self.ended: dict[InputId, str | bytes] = {}
        self.deadlines: dict[InputId, float] = {}
        self.contributing: list[InputId] = []
        own: list[BatchMember] = []
        for each in begun.inputs:
            (own if each.joined is None else self._joined.setdefault(each.joined, [])).append(each)
            if each.phase is not InputPhase.STAGED:
                self._over[each.input_id] = None
        if followed is None:
            self.inputs = self.join(own)
            self.hand_out(self.inputs)
        else:  # the behaviour works on the batch that was abandoned; what is consumed is the input that names it
            self.inputs = tuple([read_input_anyhow(each, payload_type) for each in followed.members])
            self.contributing += [each.input_id for each in own]

    def join(self, members: Iterable[BatchMember]) -> tuple[RunInput, ...]:
        """Let these be of the batch; those that fit the behaviour.

        Raises:
            NeedsAttention: One fitted when it came, and does not fit now.
        """
        fitting: list[RunInput] = []
        for member in members:
            self._members[member.input_id] = None
            if member.deadline is not None:
                self.deadlines[member.input_id] = member.deadline
            try:
                fitting.append(read_input(member, self._payload_type))
            except InvalidInput as exc:
                if member.fitted is not None and member.phase is InputPhase.STAGED:
                    raise self._misfit(member, exc.detail) from exc
                self.end(member.input_id, str(exc))
        return tuple(fitting)

    def _misfit(self, member: BatchMember, detail: str) -> NeedsAttention:
        """It fitted when it came: not it has changed, but the class. What waits in its inbox may be just the same."""
        version = f"version {member.fitted}" if member.fitted else "a version without a name"
        text = (
            f"the payload of input {member.input_id} does not fit {self._payload_type.name}: {detail}. It was accepted by "
            f"{version} of this behaviour; deploy a class that takes it, and resume"
        )
        return NeedsAttention(text, reason=HeldReason.PAYLOAD)

    def hand_out(self, inputs: Iterable[RunInput]) -> None:
        """The behaviour has these now: they contribute to the next boundary, and the end of the run consumes them."""
        self.contributing += [each.input_id for each in inputs]

    def joined_at(self, checkpoint: int) -> tuple[BatchMember, ...]:
        """What joined at a checkpoint in an earlier entry of the run."""
        return tuple(self._joined.get(checkpoint, ()))

    def newcomers(self) -> tuple[InputId, ...]:
        """What the behaviour was given since the last boundary."""
        return tuple(self.contributing[self._named :])

    def check(self, member: RunInput, field: str) -> InputId:
        """The id of a member of the batch. Raises `InvalidInput` for anything else."""
        if not is_a(member, RunInput) or member.input_id not in self._members:
            raise InvalidInput(detail="it is not an input of this run", field=field)
        return member.input_id

    def end(self, input_id: InputId, how: str | bytes) -> None:
        """End a member with the next boundary, where it has not ended: abandoned with an error, or consumed with a result."""
        if input_id not in self._over:
            self.ended.setdefault(input_id, how if isinstance(how, bytes) else storable(how))

    def may_be_late(self, clock: Callable[[], float]) -> bool:
        """Whether the deadline of a member that has not ended has passed, by this clock."""
        if not self.deadlines:
            return False
        now = clock()
        return any(at <= now and input_id not in self._over for input_id, at in self.deadlines.items())

    def is_over(self, input_id: InputId) -> bool:
        """Whether a member has ended, on disk: it cannot be consumed any more."""
        return input_id in self._over

    def landed(self, ended: Iterable[InputId] = ()) -> None:
        """A boundary is on disk, and with it the end of these."""
        self._named = len(self.contributing)
        if ended:
            self.over(ended)

    def over(self, input_ids: Iterable[InputId]) -> None:
        """These have ended, on disk."""
        for input_id in input_ids:
            self._over[input_id] = None
            self.ended.pop(input_id, None)
