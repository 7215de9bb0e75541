"""Lives and owners of runtimes, as a part of the scenario with every kind of commit."""

from __future__ import annotations

import trio

from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.ownership import (
    draining,
    lifecycle,
    ownership,
    requests,
)
from tenure.persistence.facets.records import holds
from tenure.persistence.model.values import (
    AbandonReason,
    RuntimeState,
)

from .words import KIND, Words, id_of

NOBODY = 1_000_000
"""Key of a host that there is not."""


async def lives_and_owners(words: Words) -> None:
    """Held and resumed, reset, released and taken again, stopped, destroyed; leases."""
    await words.write(lifecycle.Hold(runtime_id=id_of("cyd"), reason="crash_loop", detail="of a test"))
    await words.write(lifecycle.Hold(runtime_id=id_of("cyd"), reason=None))
    await words.accept("cyd", "waits in a hold", deadline_s=1_000)
    await words.write(holds.PlaceHold(runtime_id=id_of("nobody yet"), note="before it comes"))
    await words.write(holds.PlaceHold(kind=KIND, note="of a kind"))
    await trio.sleep(1)
    await words.write(holds.EndHold(kind=KIND))
    await words.accept("ada", "never read")
    reset = lifecycle.WriteLifecycle(
        runtime_id=id_of("ada"),
        state=RuntimeState.IDLE,
        abandon=AbandonReason.RESET,
        end_run=True,
        next_generation=True,
        clear_session=True,
    )
    _, words.tokens["ada"] = await words.write(reset, ownership.RenewToken(runtime_id=id_of("ada")))
    await words.write(ownership.ReleaseOwnership(runtime_id=id_of("bob")))
    await words.own("bob")
    await words.write(ownership.MarkLost(host=NOBODY, counter=None))
    await words.write(ownership.RenewLease())
    await words.write(draining.DescribeHost(drain=draining.Drain.DRAINS, max_owned={KIND: 3}))
    await words.write(draining.AskDrain(incarnation="of no host", drain=draining.Drain.ASKED))
    await words.write(draining.DescribeHost(drain=None, max_owned={}))
    asked = words.new_id()
    await words.write(requests.RequestLifecycle(runtime_id=id_of("cyd"), request_id=asked, verb="hold", arguments="{}"))
    await words.write(requests.FinishRequest(runtime_id=id_of("cyd"), request_id=asked, answer="null"))
    asked, unwanted = words.new_id(), await words.accept("cyd", "unwanted")
    await words.write(
        requests.RequestLifecycle(runtime_id=id_of("cyd"), request_id=asked, verb="cancel", arguments="{}")
    )
    cancel = CancelInput(runtime_id=id_of("cyd"), input_id=unwanted)
    await words.write(requests.AnswerRequest(runtime_id=id_of("cyd"), request_id=asked, change=cancel))
    await words.own("eve")
    await words.accept("eve", "too late")
    await words.write(
        lifecycle.WriteLifecycle(
            runtime_id=id_of("eve"), state=RuntimeState.DESTROYED, abandon=AbandonReason.DESTROYED, end_run=True
        )
    )
