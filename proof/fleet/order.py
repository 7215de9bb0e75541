"""Proves that a history is equal to one serial order for each runtime, or says what contradicts that.

The order is that of the receipts in the chain of the runtime. It is serial where everything else that was written agrees:

- **receipts** stand at 1, 2, 3, ... without a hole, those of a run in its order, and no run comes back after another one;
- **tokens** never fall along them and belong to one runtime and one process each; none is above what the store has minted;
- **groups** of a host rise along them and have one time each; none is above the last one that landed;
- **accepts**: each input is consumed by one receipt, which names it, in the order of admissions, and the conversation says
  them in that order;
- **clients**: what was acknowledged is there once, under the id that was acknowledged; what one sender gave a runtime later
  stands later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, final

from attrs import frozen

from .history import Accepted, History, Received

CONSUMED: Final = "consumed"


@final
@frozen(kw_only=True, slots=True)
class Acknowledged:
    """What a client heard.

    Attributes:
        runtime_id: To whom it sent.
        key: The idempotency key; its text up to the last ``/`` names the sender, who sends one after the other.
        input_id: The id it was given.
    """

    runtime_id: str
    key: str
    input_id: str


def contradictions(history: History, acknowledged: Sequence[Acknowledged]) -> list[str]:
    """What contradicts one serial order a runtime, one line each; nothing where there is one."""
    received: dict[str, list[Received]] = defaultdict(list)
    accepted: dict[str, list[Accepted]] = defaultdict(list)
    for receipt in history.received:
        received[receipt.runtime_id].append(receipt)
    for each in history.accepted:
        accepted[each.runtime_id].append(each)
    found: list[str] = []
    for runtime_id in sorted({*received, *accepted}):
        chain = sorted(received[runtime_id], key=lambda each: each.position)
        inputs = sorted(accepted[runtime_id], key=lambda each: each.admission)
        said = history.said.get(runtime_id, ())
        wrong = [
            *_of_chain(chain),
            *_of_tokens(chain, history.tokens.get(runtime_id, 0)),
            *_of_inputs(chain, inputs, said),
        ]
        found += [f"{runtime_id}: {each}" for each in wrong]
    return [*found, *_of_store(history), *_of_hosts(history), *_of_clients(accepted, acknowledged)]


def _of_chain(chain: Sequence[Received]) -> Iterator[str]:
    for place, receipt in enumerate(chain, 1):
        if receipt.position != place:
            yield f"receipt {place} of its chain stands at {receipt.position}: a hole, or two in one place"
            return
    ended: set[int] = set()
    for before, after in pairwise(chain):
        if before.run != after.run:
            ended.add(before.run)
        elif after.sequence != before.sequence + 1:
            yield f"receipt {after.position}: sequence {after.sequence} of its run follows {before.sequence}"
        if after.run in ended:
            yield f"receipt {after.position}: run {after.run} comes back after another one had its turn"
        if after.messages < before.messages:
            yield f"receipt {after.position}: its conversation is shorter than that of the one before"


def _of_tokens(chain: Sequence[Received], now: int) -> Iterator[str]:
    for before, after in pairwise(chain):
        if after.fence_token < before.fence_token:
            yield f"receipt {after.position}: token {after.fence_token} after {before.fence_token}: a stale owner wrote"
    if chain and chain[-1].fence_token > now:
        yield f"its token is {now}, and its last receipt has {chain[-1].fence_token}"


def _of_inputs(chain: Sequence[Received], inputs: Sequence[Accepted], said: Sequence[str]) -> Iterator[str]:
    known = {each.input_id: each for each in inputs}
    by_place = {(each.run, each.sequence): each for each in chain}
    for each in inputs:
        if each.phase != CONSUMED:
            yield f"input {each.key} is {each.phase}"
            continue
        receipt = by_place.get((each.run or 0, each.boundary or 0))
        if receipt is None or each.input_id not in receipt.input_ids:
            yield f"input {each.key} says that a receipt has consumed it that is not there or does not name it"
    order = [input_id for each in chain for input_id in each.input_ids]
    if len(set(order)) != len(order):
        yield "two receipts name the same input: it was consumed twice"
    if stranger := [input_id for input_id in order if input_id not in known]:
        yield f"receipts name inputs that nobody accepted: {stranger[:3]}"
        return
    consumed = [known[input_id] for input_id in order]
    for before, after in pairwise(consumed):
        if after.admission <= before.admission:
            yield f"input {after.key} of admission {after.admission} was consumed after admission {before.admission}"
    if [each.key for each in consumed] != [*said]:
        yield f"the conversation says {len(said)} inputs in another order or number than the {len(consumed)} receipts"


def _of_store(history: History) -> Iterator[str]:
    owner: dict[int, tuple[str, str]] = {}
    for each in history.received:
        here = each.runtime_id, history.processes.get(each.host, "unknown")
        first = owner.setdefault(each.fence_token, here)
        if first[0] != here[0]:
            yield f"token {each.fence_token} was of {first[0]} and of {here[0]}"
        elif first[1] != here[1]:
            yield f"{here[0]}: two processes wrote under token {each.fence_token}: {first[1]}, and {here[1]}"
        if each.fence_token > history.last_token:
            yield f"token {each.fence_token} is above {history.last_token}, the last one that the store has minted"


def _of_hosts(history: History) -> Iterator[str]:
    times: dict[tuple[int, int], float] = {}
    for each in history.received:
        if each.group > history.groups.get(each.host, 0):
            yield f"{each.runtime_id}: group {each.group} of host {each.host}, whose last is {history.groups.get(each.host)}"
        if times.setdefault((each.host, each.group), each.at) != each.at:
            yield f"group {each.group} of host {each.host} landed twice"
    last: dict[tuple[str, int], int] = {}
    for each in sorted(history.received, key=lambda each: each.position):
        place = (each.runtime_id, each.host)
        if each.group < last.get(place, 0):
            yield f"{each.runtime_id}: group {each.group} of host {each.host} after {last[place]}"
        last[place] = each.group


def _of_clients(accepted: Mapping[str, Sequence[Accepted]], acknowledged: Iterable[Acknowledged]) -> Iterator[str]:
    stored: dict[tuple[str, str], list[Accepted]] = defaultdict(list)
    for inputs in accepted.values():
        for each in inputs:
            stored[each.runtime_id, each.key].append(each)
    last: dict[tuple[str, str], int] = {}
    for heard in acknowledged:
        there = stored[heard.runtime_id, heard.key]
        if [each.input_id for each in there] != [heard.input_id]:
            yield f"{heard.runtime_id}: {heard.key} was acknowledged as {heard.input_id} and stands there as {there}"
            continue
        place = (heard.runtime_id, heard.key.rpartition("/")[0])
        if there[0].admission <= last.get(place, 0):
            yield f"{heard.runtime_id}: {heard.key} was sent after {last[place]} was acknowledged, and stands before it"
        last[place] = there[0].admission
