"""The tree of errors.

Callers branch on the class and read the fields; the text is for people and may change at any time.

Three branches answer three different questions. `WriteFailed` means that nothing of this commit was
written. `ReadFailed` means that something is there but cannot be given. What stands directly under
`StoreError` is about the store as a whole, or is a plain fact about it (`NotFound` is neither a
failed read nor damage). What stands directly under `Error` is a call that should not have been
made.

`retryable` on a class says: the same call, unchanged, may succeed later, with nothing repaired,
decided or rebuilt before. A conflict that needs a reload first is therefore not retryable.

    Error (abstract)
    ├── StoreError (abstract)
    │   ├── WriteFailed (abstract)
    │   │   ├── SessionKeyMismatch, SessionBindingMismatch, TranscriptRevisionConflict, SnapshotSuperseded,
    │   │   │   ContinuityViolation, InvalidSnapshot, HeadRevisionConflict, TurnCommitConflict, NodeConflict
    │   │   ├── DuplicateReceipt, ReceiptConflict
    │   │   ├── QueuedWorkClaimExpired, CursorConflict, StateConflict, ValueConflict, FactConflict,
    │   │   │   CounterOverflow
    │   │   ├── IdempotencyConflict, StaleFence, RuntimeOwned, RuntimeDestroyed, KindMismatch, OlderVersion,
    │   │   │   InvalidTransition, NotAccepting
    │   │   ├── PayloadTooLarge, InboxFull, LimitReached, OperationRejected
    │   │   └── DiskFull, Contended
    │   ├── ReadFailed (abstract)
    │   │   ├── Unreadable (abstract)
    │   │   │   └── Corrupt, KeyMissing, WrongKey
    │   │   └── SchemaMismatch, UnsupportedReadScope, FeedGap, PositionGone
    │   ├── StoreBroken
    │   │   └── StoreMoved
    │   └── NotFound, Unsupported, Internal, StoreLocked, CannotOpen, NoThread, NoDescriptor, NotADatabase,
    │       WeakDurability, UnsafeSqlite, NetworkFileSystem, StorePromoted, PromotionUnfinished
    └── InvalidInput, UnknownKind, StepMismatch, RunEnded, StepFailed, AskFailed, AskCycle, ChildExists,
        Closed
"""

from __future__ import annotations

from functools import partial
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, ClassVar, dataclass_transform, final

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass_transform(kw_only_default=True)
class Error(Exception):
    """Whatever this library raises on purpose. Abstract: a concrete class below says what happened.

    A concrete class declares its fields as annotations and its text as a template over them; its constructor takes the
    fields by keyword. Two errors are equal only when they are the same object. Copies and pickles keep class, fields and
    notes, and drop traceback and cause, as those of every exception do.

    Attributes:
        retryable: The same call, unchanged, may succeed later.
        message: The text for people, a format string over the fields. Concrete classes alone have it.
    """

    retryable: ClassVar[bool] = False
    message: ClassVar[str]
    __signature__: ClassVar[Signature]

    def __init__(self, **fields: object) -> None:
        """Keep the fields, and make the text of them; only concrete classes get here.

        Raises:
            TypeError: The class is abstract, a field is missing, or there is no such field.
        """
        kind = type(self)
        if not hasattr(kind, "message"):
            text = f"{kind.__name__} is abstract; raise one of the classes below it"
            raise TypeError(text)
        bound = signature(kind).bind(**fields)
        bound.apply_defaults()
        self._fields = bound.arguments
        vars(self).update(self._fields)
        super().__init__(self._text())

    def __init_subclass__(cls) -> None:
        """The signature that the annotated fields give."""
        cls.__signature__ = Signature(
            [
                Parameter(name, Parameter.KEYWORD_ONLY, default=vars(cls).get(name, Parameter.empty), annotation=kind)
                for name, kind in vars(cls).get("__annotations__", {}).items()
            ]
        )

    def _text(self) -> str:
        """The text for people."""
        return self.message.format_map(self._fields)

    @property
    def fields(self) -> dict[str, object]:
        """What the error was built from: its class called with these builds it again."""
        return dict(self._fields)

    def __repr__(self) -> str:
        """Show the class and its fields, in the form that would build the error again."""
        fields = ", ".join(f"{name}={value!r}" for name, value in self._fields.items())
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Callable[[], Error], tuple[()], dict[str, object] | None]:
        """Build the error again from its fields.

        BaseException would call the class with `args`, which is the message, and fail.
        """
        notes = self.__dict__.get("__notes__")
        state: dict[str, object] | None = {"__notes__": list(notes)} if notes else None
        kind: Callable[..., Error] = type(self)
        return partial(kind, **self._fields), (), state


class StoreError(Error):
    """The store could not do what was asked, or could not be opened. Abstract."""


class WriteFailed(StoreError):
    """A commit was refused or failed, and nothing of it was written. Abstract.

    Its neighbours in the same group may well have landed. An outcome that cannot be known is never
    this, but `StoreBroken` with `in_doubt`.
    """


class ReadFailed(StoreError):
    """What was asked for is there, or was, and cannot be given. Abstract.

    Absent is a different answer: `NotFound`, or None where the verb says so.
    """


# Writes about sessions and snapshots


@final
class SessionKeyMismatch(WriteFailed):
    """The snapshot names another session than the one it was to be stored under.

    The caller's side: it mixed up two conversations. Write the snapshot under its own session.
    `SessionBindingMismatch` is about the handle, this one about the bytes.

    Fields: the session of the key (expected) and that of the snapshot (actual).
    """

    message = "the snapshot belongs to session {actual!r}, not to {expected!r}; store it under its own session"
    expected: str
    actual: str


@final
class SessionBindingMismatch(WriteFailed):
    """A facet or runtime bound to one session was used for another, which belongs elsewhere.

    The caller's side: bind the facet to the session it means. `SessionKeyMismatch` is about a snapshot whose bytes
    name another session.

    Fields: the session that is bound, None where none is, and the one that was to be touched.
    """

    message = "session {attempted!r} belongs elsewhere and the one bound here is {bound!r}; bind another one"
    bound: str | None
    attempted: str


@final
class TranscriptRevisionConflict(WriteFailed):
    """A rewrite started from a transcript revision that is no longer the stored one.

    Another writer came first. Load the snapshot and rewrite that. `HeadRevisionConflict` is the same event for the
    node graph, whose revision is an integer.

    Fields: the revision the rewrite started from and the stored one, None when none is.
    """

    message = "the rewrite starts from revision {expected!r} but the stored one is {actual!r}; load that and rewrite it"
    expected: str
    actual: str | None


@final
class SnapshotSuperseded(WriteFailed):
    """The stored conversation already contains this snapshot and goes on after it.

    The caller's side: it holds an older copy, so writing it would lose what came later. Load and go on from there.
    `ContinuityViolation` is a snapshot of another history.
    """

    message = "the stored conversation of {runtime_id!r} is ahead of this snapshot; load it and go on from there"
    runtime_id: str


@final
class ContinuityViolation(WriteFailed):
    """The snapshot does not continue the stored conversation: it is shorter, or another story.

    The caller's side: append to what is stored, or say replace or rewrite where that is meant. `SnapshotSuperseded`
    is an older copy of the same story.
    """

    message = (
        "it does not continue the conversation of {runtime_id!r}: {detail}; append to what is stored, or replace it"
    )
    runtime_id: str
    detail: str


@final
class InvalidSnapshot(WriteFailed):
    """The given bytes are not a snapshot envelope, or contradict themselves.

    The caller's side: encode it with the envelope. Bytes that were already stored and cannot be decoded are
    `Corrupt`.
    """

    message = "the bytes are not a valid session snapshot: {detail}; encode it as an envelope"
    detail: str


@final
class HeadRevisionConflict(WriteFailed):
    """The commit expected another head revision of the session than the stored one.

    Another writer moved the head. Not retryable as it stands: load the session, build the commit again on its head,
    and send that. `TurnCommitConflict` is about a turn's stamp, not the head.
    """

    message = "session {session_id!r} is at head revision {actual}, not {expected}; load it and build the commit again"
    session_id: str
    expected: int
    actual: int


@final
class TurnCommitConflict(WriteFailed):
    """The turn was committed before, with other content.

    The caller's side: one turn id stands for one content. Use a new turn id for new content. The same content is not an
    error and returns the first result. `IdempotencyConflict` is its twin for inputs.
    """

    message = "turn {turn_id!r} of session {session_id!r} was committed with other content; use a new turn id"
    session_id: str
    turn_id: str


@final
class NodeConflict(WriteFailed):
    """The graph of a session does not allow what was to be done with a node.

    There is a node of this id already, perhaps with a tombstone; or it is on the active path and was to be hidden. The
    caller's side: choose another id, or move the head first. `HeadRevisionConflict` is another writer's doing; `NotFound` a
    node that is not there.
    """

    message = "node {node_id!r} of session {session_id!r}: {detail}; choose another id, or move the head first"
    session_id: str
    node_id: str
    detail: str


# Writes about receipts


@final
class DuplicateReceipt(WriteFailed):
    """A receipt with this runtime, run and sequence is stored already, whatever it says.

    The commit was sent twice, or two writers numbered alike. Load the stored receipt to see whether it is yours.
    `ReceiptConflict` is a receipt that cannot be true.
    """

    message = "run {run_id!r} of {runtime_id!r} already has receipt {sequence}; load that instead of writing it again"
    runtime_id: str
    run_id: str
    sequence: int


@final
class ReceiptConflict(WriteFailed):
    """A receipt brought by the caller contradicts the store: wrong sequence, digest or count.

    The caller's side: derive the receipt from what it commits, with the last sequence plus one. `DuplicateReceipt`
    is one that is there already.
    """

    message = "the receipt for run {run_id!r} of {runtime_id!r} is wrong: {detail}; derive it from what is committed"
    runtime_id: str
    run_id: str
    detail: str


# Writes about queued work, streams and counters


@final
class QueuedWorkClaimExpired(WriteFailed):
    """Another claim took over this batch of queued work, or the claim was given back.

    The work may be running elsewhere: stop, and claim again. The clock alone never does this; only a later claim
    does. `StaleFence` is about the runtime, this one about one claim.
    """

    message = "claim {claim_id!r} on work of session {session_id!r} no longer holds; stop this work and claim again"
    session_id: str
    claim_id: str


@final
class CursorConflict(WriteFailed):
    """An append expected the stream to end elsewhere.

    Another writer appended first. Read the tail, then append at the new cursor. `HeadRevisionConflict` is the same
    event for a session.
    """

    message = "stream {stream!r} is at cursor {actual}, not {expected}; read what was added and append after it"
    stream: str
    expected: int
    actual: int


@final
class StateConflict(WriteFailed):
    """A write of a runtime's own state expected another revision of it.

    Another writer came first: a run, or another caller. Read the state with `Supervisor.execution_state`, decide again, and
    write under its revision. `CursorConflict` is the same event for a stream.
    """

    message = "the state of runtime {runtime_id!r} is at revision {actual}, not {expected}; read it and write again"
    runtime_id: str
    expected: int
    actual: int


@final
class ValueConflict(WriteFailed):
    """A write of `store.state` expected another value under a key, or none.

    Another writer came first, or the value has expired. Read the values that were expected, decide again, and write.
    `StateConflict` is the same event for a runtime's own state.
    """

    message = "the value of {key!r} is another one than was expected; read it and write again"
    key: str


@final
class FactConflict(WriteFailed):
    """The hash of a fact is that of another value already.

    The caller's side: one hash names one value for ever. Compute hashes over the content. `IdempotencyConflict` is the same
    for the key of an input.

    Fields: the hash; bytes in hex.
    """

    message = "the hash {hash!r} is that of another fact; compute hashes over the content"
    hash: str


@final
class CounterOverflow(WriteFailed):
    """A stored counter is at its last value and would wrap.

    No caller's mistake, and not to be waited out: a wrapped token or sequence would let old writers in again, so the
    store refuses for good. Move to a new store. `LimitReached` is a limit that may be raised.
    """

    message = "the counter {counter!r} is exhausted and never wraps; move to a new store"
    counter: str


# Writes about runtimes: who may write, and in which state


@final
class IdempotencyConflict(WriteFailed):
    """The idempotency key was used before in this runtime, with another payload.

    The caller's side: one key stands for one message. Use a new key. The same payload is not an error and returns the
    first ticket. `TurnCommitConflict` is its twin for turns.
    """

    message = "idempotency key {key!r} of runtime {runtime_id!r} was used with another payload; use a new key"
    runtime_id: str
    key: str


@final
class StaleFence(WriteFailed):
    """The writer's fence token is not the runtime's current one.

    The runtime got a new owner or a new life since. Stop writing: whatever this writer knows is old. No retry with
    the same token can ever succeed. `RuntimeOwned` is the answer to a host that has no token yet.

    Fields: the runtime, its current token (expected) and the one presented (actual).

    None stands for no token: never minted (expected), or not presented (actual).
    """

    message = "{runtime_id!r} is written under token {expected}, not {actual}; stop, another owner or life has begun"
    runtime_id: str
    expected: int | None
    actual: int | None


@final
class RuntimeOwned(WriteFailed):
    """Another living host owns the runtime.

    No caller's mistake. Wait until it lets go (`spawn(..., wait=True)`) or ask that host. `StoreLocked` is about the
    whole file, `StaleFence` about a writer that was replaced.
    """

    retryable = True
    message = "runtime {runtime_id!r} is owned by host {holder!r}; wait or ask that host"
    runtime_id: str
    holder: str


@final
class RuntimeDestroyed(WriteFailed):
    """The runtime was destroyed, and its id never comes back.

    The caller's side: use another id. `NotFound` is an id that never was, `NotAccepting` a state that may end.
    """

    message = "runtime {runtime_id!r} was destroyed and its id never comes back; use another id"
    runtime_id: str


@final
class KindMismatch(WriteFailed):
    """The runtime exists with another kind than the one given.

    The caller's side: the stored kind decides which behaviour runs it, and never changes. Spawn it with the stored
    kind. `UnknownKind` is a kind that has no behaviour here.
    """

    message = "runtime {runtime_id!r} is of kind {stored!r}, not {given!r}; use the stored kind or another id"
    runtime_id: str
    stored: str
    given: str


@final
class OlderVersion(WriteFailed):
    """A younger version of the behaviour has recorded the run of this runtime: what it recorded, an older one cannot read.

    No caller's mistake where a deploy is rolled out or back. A host that has the version takes the runtime over;
    `resume(version=...)` moves the run, also back. `StepMismatch` is a behaviour that does something else than is
    recorded; `KindMismatch` is another kind of behaviour.

    Fields: the runtime, the version that its run stands at, and those that the host has.
    """

    message = (
        "the run of runtime {runtime_id!r} was recorded by version {recorded!r}, and this host has older ones alone: "
        "{offered}; resume(version=...) moves it"
    )
    runtime_id: str
    recorded: str
    offered: str


@final
class InvalidTransition(WriteFailed):
    """The table has no arrow from this state for this event, and nothing changed.

    The caller's side: read the state and choose a verb that has an arrow. `NotAccepting` is the answer to a
    message, this one to a verb.

    Fields: the runtime, the state it (or its input) is in and the event that was refused.
    """

    message = "{event!s} is not possible for {runtime_id!r} while it is {state!s}; nothing changed, look at its state"
    runtime_id: str
    state: str
    event: str


@final
class NotAccepting(WriteFailed):
    """The runtime takes no new input in its present state.

    It is retired or stopped, and stays so until a person resets, recycles or spawns it: waiting alone changes
    nothing. `RuntimeDestroyed` is for ever, `InboxFull` passes by itself.
    """

    message = "runtime {runtime_id!r} is {state!s} and takes no new input; reset, recycle or spawn it first"
    runtime_id: str
    state: str


# Writes that meet a limit


@final
class PayloadTooLarge(WriteFailed):
    """One payload is larger than the store takes.

    The caller's side: store the bytes elsewhere (an attachment) and send a reference, or raise the limit.
    `LimitReached` counts things, this one measures bytes.
    """

    message = "the payload has {size} bytes and the limit is {limit}; send a reference or raise the limit"
    size: int
    limit: int


@final
class InboxFull(WriteFailed):
    """The runtime has as many unfinished inputs as it may have.

    No caller's mistake: it works slower than it is written to. Wait until it has worked some off. `LimitReached` does
    not pass by itself.
    """

    retryable = True
    message = "the inbox of runtime {runtime_id!r} holds {limit} unfinished inputs; wait until some are finished"
    runtime_id: str
    limit: int


@final
class LimitReached(WriteFailed):
    """A named limit other than the inbox and the payload would be passed.

    The caller's side: do less in one go, or raise that limit. Waiting alone does not help, unlike with `InboxFull`.
    """

    message = "the limit of {limit} {what} is reached; do less at once or raise the limit"
    what: str
    limit: int


@final
class OperationRejected(WriteFailed):
    """The registry of operations refused this action on this operation.

    The caller's side: the operation is registered already, has ended, or is in a phase without such an arrow.
    `NotFound` is an operation that is not there.
    """

    message = "operation {operation_id!r} refused the action: {detail}; look at its status first"
    operation_id: str
    detail: str


# Writes that the machine could not do just now


@final
class DiskFull(WriteFailed):
    """There is no room on the disk, and nothing of this commit was written.

    The machine's side, with a known outcome: free some space and send the same commit again. `StoreBroken` is an
    outcome that is not known.
    """

    retryable = True
    message = "the disk is full and nothing was written; free some space and retry"


@final
class Contended(WriteFailed):
    """Another process held the write lock longer than this one was willing to wait, or a server did not answer for so long.

    No caller's mistake, and nothing was written: send the same commit again. `StoreLocked` is a lock that is held for
    as long as a host lives, `CannotOpen` a server that refuses us.
    """

    retryable = True
    message = "the store was busy and nothing was written: {detail}; retry"
    detail: str


# Reads


class Unreadable(ReadFailed):
    """A stored record is there, and what it says cannot be made out. Abstract.

    It is the record's alone: no other runtime is touched by it.
    """


@final
class KeyMissing(Unreadable):
    """What is stored is sealed with a key that this process does not have.

    The installation's side: give the key to the codec. A store that is sealed is opened with a codec alone, and looked into
    without one as far as it stands in the clear. `WrongKey` is another key under this id.

    Fields: the id of the key.
    """

    message = (
        "it is sealed with the key {key_id!r}, which is not here; give it to the codec, or to a command by --key-file"
    )
    key_id: str


@final
class WrongKey(Unreadable):
    """The key that this process has under an id is not the one that sealed what is stored.

    The installation's side: find the right one. `KeyMissing` says that there is none of this id, `Corrupt`
    that it was changed since it was sealed with the key that is here.

    Fields: the id of the key.
    """

    message = (
        "the key {key_id!r} is not the one that sealed this; give that to the codec, or to a command by --key-file"
    )
    key_id: str


@final
class Corrupt(Unreadable):
    """A stored record cannot be decoded, or contradicts itself or its neighbours.

    The store's side: restore or repair that record; no other is touched by it. `SchemaMismatch` is a record that is
    sound and of another version, `NotFound` one that is not there.

    Fields: the sort of record, its key and what is wrong; never its content.
    """

    message = "the stored {record} {key!r} is damaged: {detail}; repair it or restore a backup"
    record: str
    key: str
    detail: str


@final
class SchemaMismatch(ReadFailed):
    """A file or record was written in a version that this library does not read.

    The installation's side: use the release that wrote it, or a newer one. `Corrupt` is damage, `NotADatabase` a
    file that was never ours.

    Fields: the record, the version this library reads and the stored one, None when none is.
    """

    message = "{what} has version {actual} and this release reads {expected}; use a release that fits the file"
    what: str
    expected: int | str
    actual: int | str | None


@final
class UnsupportedReadScope(ReadFailed):
    """The store cannot read a session in the scope that was asked for.

    The caller's side: ask for another scope. `Unsupported` is a whole verb that is not there.
    """

    message = "the read scope {scope!r} is not supported; ask for another one"
    scope: str


@final
class FeedGap(ReadFailed):
    """The completion feed no longer holds the entries after the requested cursor.

    The reader was slower than the feed. Read the operations themselves, then follow the feed from its oldest
    entry. `NotFound` is a feed that is not there.
    """

    message = "the feed after {requested} is gone and starts at {oldest}; read the operations and follow on from there"
    requested: int
    oldest: int


@final
class PositionGone(ReadFailed):
    """Entries after a position of an output are gone by now: they were too old, or too many, or pruned.

    The reader was away for too long. Go on after `oldest`, and say that something is missing. `NotFound` is a runtime that
    is not there, `FeedGap` the same of the operations.

    Fields: the position that was given, and the one after which everything is still there.
    """

    message = "entries after position {position} are gone; follow(after={oldest!r}) gives what is still there"
    position: str
    oldest: str


# The store as a whole


@final
class NotFound(StoreError):
    """Nothing with this key is stored.

    A plain answer, and by itself no mistake. `Corrupt` is something that is there and cannot be read;
    `RuntimeDestroyed` a runtime that was there.

    Fields: what there is none of; under which key; what to do.
    """

    message = "there is no {what} {key!r}; {advice}"
    what: str
    key: str
    advice: str = "check the key"


@final
class Unsupported(StoreError):
    """The store, engine or platform has no such ability, and never had.

    The caller's side: choose another engine or another way. `UnsupportedReadScope` is one scope of a verb that is
    there.
    """

    message = "{what} is not supported here; choose another way"
    what: str


@final
class Internal(StoreError):
    """The library broke its own rule.

    Our side: please report it, with the detail and the cause. The store rolled back what it was doing. `Corrupt` is
    the data's side.
    """

    message = "a defect in tenure: {detail}; please report it"
    detail: str


class StoreBroken(StoreError):
    """The store hit an error after which it cannot know what is on disk, and closed itself.

    The machine's side (a failed write, sync or COMMIT). Reopen the store; when `in_doubt` is true
    ask `verdict(incarnation, group)` whether this commit landed; when false it did not. `DiskFull`
    and `Contended` are failures with a known outcome and leave the store open, `StoreMoved` is a fail-over.

    Fields: the group whose outcome is the commit's, None when no group had taken it.
    """

    message = "the store of incarnation {incarnation!r} is broken: {detail}; reopen it, {outcome}"
    incarnation: str
    group: int | None
    in_doubt: bool
    detail: str

    def _text(self) -> str:
        outcome = f"ask for the verdict of group {self.group}" if self.in_doubt else "this commit did not land"
        return self.message.format(**self.fields, outcome=outcome)


@final
class StoreMoved(StoreBroken):
    """The server of the store was failed over, or restored, while a host had it open, and the host closed the store.

    So it is where another store was made in its place. The installation's side. What stands there now may lack commits that
    were acknowledged, and what this host remembers may be among them: reopen the store, and it is as the server has it; no
    token is given a second time. When `in_doubt` is true the `verdict` says whether this commit is there now. `StoreBroken`
    is a failure in which nothing acknowledged is lost.

    Fields: as those of `StoreBroken`.
    """

    message = "the store of incarnation {incarnation!r} was moved: {detail}; reopen it, {outcome}"
    incarnation: str
    group: int | None
    in_doubt: bool
    detail: str


@final
class StoreLocked(StoreError):
    """Another host has the store open in a way that leaves no room for this one.

    No caller's mistake: close the other host, or open again when it has ended. `Contended` is a lock of moments in an
    open store, `RuntimeOwned` is one runtime.

    Fields: the file and the host that has it, as far as that is known.
    """

    retryable = True
    message = "the store {path!r} is in use by {holder!r}; close that host first"
    path: str
    holder: str


@final
class CannotOpen(StoreError):
    """The system does not let the file be opened: a missing folder, no permission, a read-only disk; or a server refuses us.

    The installation's side: nothing was touched. Correct the path or its permissions. `NotADatabase` is a file that
    was opened and is not ours, `StoreLocked` one that another host has.
    """

    message = "{path!r} cannot be opened: {detail}; correct the path or its permissions"
    path: str
    detail: str


@final
class NoThread(StoreError):
    """The system gives this process no further thread.

    The machine's side, and nothing happened: a limit of processes or of memory is reached. Ask again, with fewer things at
    once or a higher limit. A host's looks and sync steps try again for themselves. `CannotOpen` is a file that may not be
    opened.
    """

    retryable = True
    message = "no thread could be started for {what}, and nothing happened; retry, or raise the limit of threads"
    what: str


@final
class NoDescriptor(StoreError):
    """The system gives this process no further file descriptor.

    The machine's side, and nothing happened: it has as many files and sockets open as it may. Ask again, with fewer of them
    or a higher limit (``ulimit -n``). A host's looks and runs try again for themselves. `CannotOpen` is a file that may not
    be opened.
    """

    retryable = True
    message = "no file descriptor was left for {what}, and nothing happened; retry, or raise the limit of open files"
    what: str


@final
class NotADatabase(StoreError):
    """The file is not a database, or one that this library did not make.

    The caller's side: check the path. `SchemaMismatch` is a file of ours in another version, `Corrupt` a file of
    ours that is damaged.
    """

    message = "{path!r} is not a tenure store: {detail}; check the path"
    path: str
    detail: str


@final
class WeakDurability(StoreError):
    """The settings found give a weaker durability than was asked for.

    The installation's side: the store never acknowledges above what it can keep. Ask for less, or put the file
    where more can be had. `NetworkFileSystem` is one such place, refused outright.
    """

    message = "durability {asked!s} was asked for and only {given!s} can be given; ask for less or move the file"
    asked: str
    given: str


@final
class UnsafeSqlite(StoreError):
    """The SQLite library is of a version known to lose data, or lacks what is relied on.

    The installation's side: install another version. `WeakDurability` is a matter of settings.
    """

    message = "SQLite {version} is not safe for this store; install a newer one"
    version: str


@final
class NetworkFileSystem(StoreError):
    """The path is on a file system whose locks and syncs cannot be relied on.

    The installation's side: put the file on a local disk, or use a PostgreSQL store. `WeakDurability` is a local
    file with weak settings.
    """

    message = "{path!r} is on a network file system ({kind}); use a local disk or PostgreSQL"
    path: str
    kind: str


@final
class StorePromoted(StoreError):
    """The store was promoted to another place, and is closed for good: no host opens it any more.

    The installation's side: give the hosts the other place. A look still reads what stands here, as it was then.
    `PromotionUnfinished` is the other end of a promotion that was cut off.

    Fields: where the store is now, without a password.
    """

    message = "the store was promoted: it is at {place!r} now, and this one is closed for good; open that one"
    place: str


@final
class PromotionUnfinished(StoreError):
    """The store is the target of a promotion that is not at its end: it may not be whole, and no host opens it.

    The installation's side: run ``tenure promote`` with the same source and target again, which ends it; or remove what
    is here. The source is open, or says by `StorePromoted` that this is its place.

    Fields: where the store comes from, without a password.
    """

    message = "the store of {place!r} is being promoted to this one, which is not whole; run `tenure promote` again"
    place: str


# Calls that should not have been made


@final
class InvalidInput(Error):
    """An argument cannot be what was meant: empty, out of range, of a wrong form.

    The caller's side, and the store was not asked. `InvalidSnapshot` is about a snapshot's bytes,
    `PayloadTooLarge` about size alone.

    Fields: what is wrong, and with which argument where it is one.
    """

    message = "{where} is not valid: {detail}; correct it and call again"
    detail: str
    field: str | None = None

    def _text(self) -> str:
        where = "the call" if self.field is None else self.field
        return self.message.format(where=where, detail=self.detail)


@final
class UnknownKind(Error):
    """No behaviour is registered for this kind.

    The host's side: give the supervisor a behaviour of that name. `KindMismatch` is a kind that is known and is not
    this runtime's.
    """

    message = "no behaviour is registered for kind {kind!r}; pass one to the supervisor"
    kind: str


@final
class StepMismatch(Error):
    """A run that entered again did not do what is recorded of it.

    The behaviour's side: between steps it must be deterministic. The runtime is held until a person resumes it, by one of
    the ways of `Runtime.resume`; no attempt is counted. `ReceiptConflict` is a wrong receipt, `Corrupt` a
    damaged record.

    Fields: the run, the step or checkpoint, and both sides; None where a side has nothing.
    """

    message = (
        "run {run_id!r} of runtime {runtime_id!r} did {given!r} at {name!r} where {recorded!r} is recorded; "
        "let the behaviour do the same again, or resume with renamed=, forget=, take_recorded=True or restart_run=True"
    )
    runtime_id: str
    run_id: str
    name: str
    recorded: str | None
    given: str | None


@final
class RunEnded(Error):
    """A run was used after its behaviour had returned, raised or been cancelled.

    The behaviour's side: some task outlived it. Let all work end before the behaviour does. `Closed` is a whole
    supervisor, store or channel that has ended.
    """

    message = "run {run_id!r} has ended and can no longer be used; finish all work inside it"
    run_id: str


@final
class StepFailed(Error):
    """A step raised, now or when the run was here before.

    The work's side: `detail` is what it raised, as it is recorded, and the run may handle it or let it fail; the
    exception itself is the cause, where it was raised now. `StepMismatch` is a step that is not the recorded one.
    """

    message = "step {name!r} of run {run_id!r} failed: {detail}; handle it or let the run fail"
    run_id: str
    name: str
    detail: str


@final
class AskFailed(Error):
    """What a run asked of another runtime has no answer.

    The asked side: `reason` says how it ended, and `outcome`, where it has one, is that of the asked input. The run may
    handle it or let it fail; it is recorded, and raised again where the run enters again. `AskCycle` was never asked.

    Fields: who was asked; ``abandoned``, ``rejected``, ``refused``, ``erased`` or ``late``; the outcome of the asked input,
    or None; whether a run had taken it, so that some of it may have been done; what is said of it, for people.
    """

    message = "{target!r} gave no answer, {reason}: {detail}; handle it or let the run fail"
    target: str
    reason: str
    outcome: object = None
    begun: bool = False
    detail: str = ""


@final
class AskCycle(Error):
    """A run asked a runtime that waits for it already, over however many others: each would wait for ever.

    The caller's side: let one of them send in place of asking. Nothing was asked. `AskFailed` is an ask without an answer.

    Fields: who was asked, and the runtimes from there on that wait, the last of them for who asked.
    """

    message = "asking {target!r} closes a circle of waits over {chain}; send in place of asking"
    target: str
    chain: tuple[str, ...]


@final
class ChildExists(Error):
    """A run spawns a child under an id that is there, and is not that of a child of its runtime.

    The caller's side: choose another id, or give None and let one be drawn. Nothing was spawned; it is recorded, and raised
    again where the run enters again. `RuntimeOwned` is a runtime that another host has.
    """

    message = "{runtime_id!r} is there, and no child of this runtime; give None for an id that is drawn"
    runtime_id: str


@final
class Closed(Error):
    """What was called or waited for has been closed, in order.

    Not a failure: everything acknowledged is on disk. Open it again, then ask again. `StoreBroken` is an end out of
    order.
    """

    message = "the {what} is closed; open it again first"
    what: str
