"""Ways out for a run whose behaviour does not do what it recorded (design §18).

A run that is restarted leaves its id, and its place is taken by a new one over the same batch. What must not be done twice
goes along, whatever became of it: a step that succeeded gives its result there, one that is in doubt is in doubt, and what was
sent or asked is there. The
conversation goes back to where the old run found it, and so does the runtime's own state; what that had appended stays in a
branch that is left.
"""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.errors import InvalidInput, NotFound
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.conversation import moves, sessions
from tenure.persistence.facets.records import (
    asides,
    chain,
    run_records,
    runtimes,
    versions,
)
from tenure.persistence.facets.state import own_state
from tenure.persistence.model import versions as versions_model
from tenure.persistence.model.entries import (
    EntryKind,
    Repeat,
    parse_place,
    place_of,
    seal_of,
    stands_in,
)
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RunId,
)

from . import children, entries, sends
from .asking import asked

TAKE_RECORDED: Final = "take_recorded"
RESTART: Final = "restart"
REPEAT_NEVER: Final = "repeat_never"


def want(tx: Transaction, run: int, *words: str) -> None:
    """Note how a run goes on when it is entered next."""
    record = run_records.load(tx, run)
    record.ways = " ".join(sorted({*record.ways.split(), *words}))
    run_records.save(tx, record)


def move(tx: Transaction, kind: str | None, run: int, version: str) -> None:
    """Let a version go on with a run, also an older one. Raises `NotFound` for one that the store has not heard of."""
    versions.check_known(tx, kind, version)
    record = run_records.load(tx, run)
    record.version = version
    want(tx, run, versions_model.STAYS)


def wanted(tx: Transaction, run: int) -> bool:
    """Whether a run is to be restarted."""
    return RESTART in run_records.load(tx, run).ways.split()


def restart(tx: Transaction, record: runtimes.RuntimeRecord, run_id: RunId) -> bool:
    """Put a new run in the place of the current one of this runtime, over what is left of its batch.

    Where nothing is left of it, the runtime has no current run then. Returns whether anything was carried over.
    """
    old = run_records.load(tx, record.run or 0)
    repeats = REPEAT_NEVER in old.ways.split()
    base, base_count = _go_back(tx, record, old)
    own_state.take_back(tx, record.runtime, old.run)
    record.run, record.crashes, carried = None, 0, 0
    if tx.one("restarting.any", run=old.run) is not None:
        new = run_records.begin(tx, record.runtime, run_id, base, base_count, old.version)
        if old.follows:
            run_records.mark_following(tx, new.run)
        if versions_model.STAYS in old.ways.split():
            want(tx, new.run, versions_model.STAYS)
        tx.write("restarting.rebind", run=old.run, into=new.run)
        children.carry(tx, old, new)
        if not repeats:
            carried = entries.carry(tx, old.run, new.run) + sends.carry(tx, old.run, new.run, old.version)
            asked.carry(tx, old.run, new.run)
        record.run = new.run
    run_records.end(tx, record, old.run, outcome="restarted")
    runtimes.save_progress(tx, record)
    return bool(carried)


def _go_back(tx: Transaction, record: runtimes.RuntimeRecord, old: run_records.RunRecord) -> tuple[int | None, int]:
    """Let the conversation stand where a run found it, where nothing but that run has appended since."""
    if record.session is None:
        return None, 0
    session = sessions.load(tx, record.session)
    if moves.go_back(tx, session, old):
        chain.add(tx, record, chain.LinkEvent.REWRITE, session.digest.hex())
    return session.head, session.message_count


def rename(tx: Transaction, run: int, old: str, new: str) -> None:
    """Give entries of this name, or at this place, another name. Raises `NotFound` where there is none."""
    rows = tx.all("restarting.named", run=run, old=old)
    for place, arguments, call_key, result, error, *terms in rows:
        kind, repeat, status = terms
        sealed = seal_of(new, arguments, call_key, result, error, terms=(kind, repeat, status))
        tx.write("restarting.rename", run=run, place=place, new=new, result_digest=sealed)
    if not rows:
        raise NotFound(what="entry of the run", key=old, advice="`tenure steps` lists them")


def forget(tx: Transaction, run: int, which: str, *, repeat_never: bool) -> None:
    """Take entries of this name, or at this place, out of the record; those after them in their branch move up.

    So with what was sent to a target of this name.

    Raises:
        NotFound: There is none.
        InvalidInput: One must not be done twice, and the caller has not said that it shall be.
    """
    rows = tx.all("restarting.places", run=run)
    found: list[str] = [place for place, name, *_ in rows if which in (place, name)]
    if not sends.forget(tx, run, which) and not found:
        raise NotFound(what="entry of the run", key=which, advice="`tenure steps` lists them")
    gone = [row for row in rows if row[0] in found or any(stands_in_entry(row[4] or row[0], place) for place in found)]
    kept = [
        f"{name} at {place}"
        for place, name, repeat, kind, _ in gone
        if kind == EntryKind.STEP and repeat != Repeat.FREELY
    ]
    if kept and not repeat_never:
        raise InvalidInput(
            detail=f"{', '.join(kept)} would be done again; say repeat_never=True where that is wanted", field="forget"
        )
    for place, *_ in gone:
        tx.write("restarting.forget", run=run, place=place)
        tx.write("asks.forget", run=run, place=place)
    # From the last one on: each moves what stands after it.
    for place in sorted(found, key=lambda place: (parse_place(place) or ("", 0))[1], reverse=True):
        _move_up(tx, run, place)


def _move_up(tx: Transaction, run: int, gone: str) -> None:
    parsed = parse_place(gone)
    if parsed is None:
        return
    branch, number = parsed
    after: list[tuple[int, str, str]] = []
    for place, *_, asked_after in tx.all("restarting.places", run=run):
        own, rest = _split(branch, place)
        if own > number:
            after.append((own, place, f"{place_of(branch, own - 1)}{rest}"))
        own, rest = _split(branch, asked_after or "")
        if own >= number:  # a call, after what has gone or what moves up
            tx.write("restarting.move_call", run=run, place=place, into=f"{place_of(branch, own - 1)}{rest}")
    for _, place, into in sorted(after):
        tx.write("restarting.move", run=run, place=place, into=into)
        tx.write("asks.move", run=run, place=place, into=into)


def _split(branch: str, place: str) -> tuple[int, str]:
    """The number of a place in a branch, or of that in which it stands there, and the rest; 0 for one that is elsewhere."""
    if not place.startswith(f"{branch}/"):
        return 0, ""
    tail, digits = place[len(branch) + 1 :], ""
    for each in tail:
        if not each.isdigit():
            break
        digits += each
    return int(digits or "0"), tail[len(digits) :]


def stands_in_entry(place: str, entry: str) -> bool:
    """Whether a place is of a branch of the entry at another place."""
    return place.startswith(f"{entry}.") and stands_in(place, entry)


@final
@frozen(kw_only=True, slots=True)
class AmendRun(Change):
    """Say how the current run goes on where its behaviour does not do what it recorded. Answer: None.

    Attributes:
        runtime_id: Whose.
        take_recorded: Go on with what is recorded, whatever the arguments are now.
        renamed: Names or places of entries, each with the name that it has from now on.
        forget: Names or places of entries that are taken out; those after them in their branch move up.
        restart: Let its batch begin a new run when it is entered next. What must not be done twice is carried over.
        repeat_never: Forget also what must not be done twice: it will be.
        version: Which version of the behaviour goes on with it; None changes nothing. It may be an older one.
    """

    runtime_id: LogicalRuntimeId
    take_recorded: bool = False
    renamed: tuple[tuple[str, str], ...] = ()
    forget: tuple[str, ...] = ()
    restart: bool = False
    repeat_never: bool = False
    version: str | None = None


def _amend(tx: Transaction, change: AmendRun) -> None:
    record = runtimes.load(tx, change.runtime_id)
    if record.run is None:
        if change.renamed or change.forget or change.version is not None:
            raise NotFound(what="unfinished run of runtime", key=change.runtime_id, advice="it has no record to change")
        return
    asides.wake(tx, record)  # it goes on as was said here
    if change.version is not None:
        move(tx, record.kind, record.run, change.version)
    for old, new in change.renamed:
        rename(tx, record.run, old, new)
    for each in change.forget:
        forget(tx, record.run, each, repeat_never=change.repeat_never)
    if change.take_recorded:
        want(tx, record.run, TAKE_RECORDED)
    if change.restart:
        want(tx, record.run, RESTART, *[REPEAT_NEVER] * change.repeat_never)


FACET: Final = Facet(name="restarting", handlers={AmendRun: Handler(apply=_amend)})
