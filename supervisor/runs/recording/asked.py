"""What a behaviour asks for, as it is compared with what is recorded, and both in words (design §18)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from attrs import define

from tenure.persistence.facets.runs.addressed import content_digest
from tenure.persistence.facets.runs.entries import RecordedEntry, RecordEntry
from tenure.persistence.model.codec import digest
from tenure.persistence.model.entries import EntryKind, EntryStatus, Repeat

from .branch import Message

OF_SESSION: Final = frozenset({EntryKind.POP, EntryKind.REWRITE, EntryKind.FORK, EntryKind.ATTACH})
"""Kinds that a run asks of its session."""

ENDED: Final = frozenset({EntryStatus.SUCCEEDED, EntryStatus.CAUGHT, EntryStatus.CANCELLED})
"""How far an entry has come that executes nothing any more. So does a failed one that never repeats."""


class Differs(Exception):
    """What is asked for is not what is recorded.

    Attributes:
        place: Where.
        recorded: What stands there, for people, or None.
        given: What was asked for, for people.
    """

    def __init__(self, place: str, recorded: str | None, given: str) -> None:
        """Say where, and both sides."""
        super().__init__(place, recorded, given)
        self.place = place
        self.recorded = recorded
        self.given = given


# A run that enters again makes an `Asked` and a `Found` for each step; frozen, they would take twice as long to make.


@final
@define(kw_only=True, slots=True, unsafe_hash=True)
class Asked:
    """One thing that a behaviour asks for.

    Attributes:
        kind: What it is.
        name: Of the step; else that of the kind.
        repeat: How it may be repeated.
        arguments: SHA-256 of its encoded arguments.
        call: Its call id, or None.
        compare: Whether its arguments are compared at all.
    """

    kind: EntryKind
    name: str
    repeat: Repeat = Repeat.FREELY
    arguments: bytes
    call: str | None = None
    compare: bool = True

    def __str__(self) -> str:
        return _text(self.kind, self.name, self.repeat, self.arguments)


@final
@define(slots=True)
class Found:
    """Where what was asked for stands, and what is recorded of it; None where it is new."""

    place: str
    entry: RecordedEntry | None


def has_ended(entry: RecordedEntry) -> bool:
    """Whether an entry executes nothing any more."""
    return entry.repeat is Repeat.NEVER if entry.status is EntryStatus.FAILED else entry.status in ENDED


def is_in_doubt(entry: RecordedEntry | RecordEntry) -> bool:
    """Whether a scope cut off a step that never repeats after it had begun: it may have run, and nothing holds its run."""
    return entry.repeat is Repeat.NEVER and entry.status is EntryStatus.CANCELLED and entry.error is not None


def was_cut_before_it_began(entry: RecordedEntry) -> bool:
    """Whether a scope cut an entry off before anything of it was on disk or had begun."""
    return entry.status is EntryStatus.CANCELLED and entry.error is None


def asked_by(message: Message) -> Asked:
    """A message as it is found among what a restart has taken over."""
    arguments = content_digest(digest(message.payload), message.terms)
    return Asked(kind=EntryKind.SEND, name=message.target, arguments=arguments)


def list_entries(entries: Iterable[RecordedEntry], most: int = 5) -> str:
    """Entries for people, with their places."""
    found = list(entries)
    texts = [f"{described(entry)} at {entry.place}" for entry in found[:most]]
    return "; ".join([*texts, f"and {len(found) - most} more"] if len(found) > most else texts)


def described(entry: RecordedEntry) -> str:
    """An entry for people."""
    return _text(entry.kind, entry.name, entry.repeat, entry.arguments_digest)


def _text(kind: EntryKind, name: str, repeat: Repeat, arguments: bytes) -> str:
    if kind is EntryKind.STEP:
        return f"step {name}, {repeat}, with arguments {arguments.hex()[:16]}"
    if name == str(kind) and kind not in OF_SESSION:
        return f"a {kind}"
    return f"{f'a {kind}' if name == str(kind) else f'{kind} {name}'} with arguments {arguments.hex()[:16]}"
