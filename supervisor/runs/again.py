"""What a run goes on with when it ends: the payload of the run that stands where it ended."""

from __future__ import annotations

from typing import final

from attrs import field, frozen

from tenure.errors import PayloadTooLarge
from tenure.persistence.facets.runs.again import RunAgain
from tenure.persistence.model.codec import digest
from tenure.persistence.model.values import InputId, RunId
from tenure.supervisor.accepting.payloads import Kinds

from .recording.attention import Unstorable
from .recording.entering import Entering


@final
@frozen(eq=False, slots=True)
class Again:
    """What `Run.again` gives, for a behaviour to return: ``return run.again(payload)``.

    Attributes:
        run_id: The run that goes on.
        payload: Encoded.
    """

    run_id: RunId
    payload: bytes = field(repr=False)


@final
class GoingOn:
    """How one run goes on, where it does."""

    def __init__(self, entering: Entering, kinds: Kinds) -> None:
        """It ends, as long as it has not said otherwise."""
        self._entering = entering
        self._own = kinds.own
        self._given: list[Again] = []

    def again(self, payload: object) -> Again:
        """See `Run.again`."""
        self._entering.only_main("run.again")
        encoded, limit = self._own.encode(payload), self._entering.store.limits.payload_bytes
        if len(encoded) > limit:
            raise PayloadTooLarge(size=len(encoded), limit=limit)
        given = Again(self._entering.run_id, encoded)
        self._given.append(given)
        return given

    def change(self, returned: object, *, ends_runtime: bool) -> RunAgain | None:
        """What begins the next run, by what the behaviour has returned; None where none does.

        Raises:
            Unstorable: It has asked to go on, and returned something else, or ended its runtime's work as well.
        """
        if not isinstance(returned, Again):
            if self._given:
                message = "the behaviour called run.again and returned something else; write return run.again(payload)"
                raise Unstorable(message)
            return None
        if returned not in self._given:
            message = f"the behaviour returned what run {returned.run_id} goes on with"
            raise Unstorable(message)
        if ends_runtime:
            message = "the behaviour stops, resets or destroys its runtime, and cannot go on in it"
            raise Unstorable(message)
        entering = self._entering
        new_id = entering.store.seams.new_id
        return RunAgain(
            runtime_id=entering.runtime_id,
            run_id=entering.run_id,
            next_run_id=RunId(new_id()),
            input_id=InputId(new_id()),
            payload=returned.payload,
            payload_digest=digest(returned.payload),
            fitted=self._own.version,
        )
