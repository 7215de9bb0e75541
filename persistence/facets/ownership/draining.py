"""How a host shares work with others, as its row says it: whether it drains, and what it owns at most (design §25)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, final

import msgspec
from attrs import frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import Facet, Handler
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.codec import encode


@final
class Drain(StrEnum):
    """What the row of a host says of its drain; nothing stands there while it takes what there is."""

    ASKED = "asked"
    DRAINS = "drains"
    DRAINED = "drained"
    ENDED = "ended"


@final
@frozen(kw_only=True, slots=True)
class DescribeHost(Change):
    """Say in the row of this host how it shares work. Answer: what stood there of its drain, a `Drain` or None.

    Attributes:
        drain: Whether it drains; None where it does not. Nothing stays owned by one that is drained.
        max_owned: By each kind that it has a behaviour of, the most runtimes that it owns; None where there is no bound.
    """

    ingress = True

    drain: Drain | None
    max_owned: Mapping[str, int | None]


def _describe(tx: Transaction, change: DescribeHost) -> Drain | None:
    stood = find_drain(tx, tx.host)
    bounds = encode(dict(change.max_owned), "max_owned").decode() if change.max_owned else None
    tx.write("draining.describe", host=tx.host, drain=change.drain, max_owned=bounds)
    if change.drain is Drain.DRAINED:
        tx.write("ownership.release_all", host=tx.host, now=tx.now)
        tx.drop_all()
    return stood


@final
@frozen(kw_only=True, slots=True)
class AskDrain(Change):
    """Ask a host to drain, or to end that. Answer: whether it is there to hear it.

    Attributes:
        incarnation: Which host.
        drain: `Drain.ASKED` or `Drain.ENDED`.
    """

    ingress = True

    incarnation: str
    drain: Drain


def _ask(tx: Transaction, change: AskDrain) -> bool:
    return tx.run("draining.ask", incarnation=change.incarnation, drain=change.drain) > 0


def read_max_owned(stored: str | None) -> Mapping[str, int | None] | None:
    """What stands in the row of a host, by each kind that it has a behaviour of; None for what cannot be."""
    try:
        return msgspec.json.decode(stored, type=dict[str, int | None]) if stored is not None else {}
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None


def find_drain(statements: Statements, host: int) -> Drain | None:
    """What stands in the row of a host; None also for what cannot be."""
    row = statements.one("draining.find", host=host)
    return Drain(row[0]) if row is not None and row[0] in {*Drain} else None


FACET: Final = Facet(name="draining", handlers={DescribeHost: Handler(apply=_describe), AskDrain: Handler(apply=_ask)})
