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

A class stands in the module of who meets it:

    `base`        what every error is, and the branches to catch
    `anywhere`    what any call may meet
    `unreadable`  who reads
    `opening`     who opens a store
    `runtimes`    who gives runtimes inputs and verbs
    `behaviours`  who writes behaviours
    `sessions`    who writes or reads conversations
    `records`     who keeps queued work, streams, values, facts and operations

Import it from here, which is where it is public.
"""

from __future__ import annotations

# `Error` has the name of this module, so `typing.get_type_hints` looks here for what its annotations name.
from inspect import Signature  # noqa: F401  # pyright: ignore[reportUnusedImport]
from typing import ClassVar  # noqa: F401  # pyright: ignore[reportUnusedImport]

from .anywhere import (
    Closed as Closed,
    Contended as Contended,
    DiskFull as DiskFull,
    Internal as Internal,
    InvalidInput as InvalidInput,
    NoDescriptor as NoDescriptor,
    NotFound as NotFound,
    NoThread as NoThread,
    StoreBroken as StoreBroken,
    StoreMoved as StoreMoved,
    Unsupported as Unsupported,
)
from .base import Error as Error, ReadFailed as ReadFailed, StoreError as StoreError, WriteFailed as WriteFailed
from .behaviours import (
    AskCycle as AskCycle,
    AskFailed as AskFailed,
    ChildExists as ChildExists,
    RunEnded as RunEnded,
    StepFailed as StepFailed,
    StepMismatch as StepMismatch,
)
from .opening import (
    CannotOpen as CannotOpen,
    NetworkFileSystem as NetworkFileSystem,
    NotADatabase as NotADatabase,
    PromotionUnfinished as PromotionUnfinished,
    StoreLocked as StoreLocked,
    StorePromoted as StorePromoted,
    UnsafeSqlite as UnsafeSqlite,
    WeakDurability as WeakDurability,
)
from .records import (
    CounterOverflow as CounterOverflow,
    CursorConflict as CursorConflict,
    FactConflict as FactConflict,
    FeedGap as FeedGap,
    OperationRejected as OperationRejected,
    PositionGone as PositionGone,
    QueuedWorkClaimExpired as QueuedWorkClaimExpired,
    StateConflict as StateConflict,
    ValueConflict as ValueConflict,
)
from .runtimes import (
    IdempotencyConflict as IdempotencyConflict,
    InboxFull as InboxFull,
    InvalidTransition as InvalidTransition,
    KindMismatch as KindMismatch,
    LimitReached as LimitReached,
    NotAccepting as NotAccepting,
    OlderVersion as OlderVersion,
    PayloadTooLarge as PayloadTooLarge,
    RuntimeDestroyed as RuntimeDestroyed,
    RuntimeOwned as RuntimeOwned,
    StaleFence as StaleFence,
    UnknownKind as UnknownKind,
)
from .sessions import (
    ContinuityViolation as ContinuityViolation,
    DuplicateReceipt as DuplicateReceipt,
    HeadRevisionConflict as HeadRevisionConflict,
    InvalidSnapshot as InvalidSnapshot,
    NodeConflict as NodeConflict,
    ReceiptConflict as ReceiptConflict,
    SessionBindingMismatch as SessionBindingMismatch,
    SessionKeyMismatch as SessionKeyMismatch,
    SnapshotSuperseded as SnapshotSuperseded,
    TranscriptRevisionConflict as TranscriptRevisionConflict,
    TurnCommitConflict as TurnCommitConflict,
    UnsupportedReadScope as UnsupportedReadScope,
)
from .unreadable import (
    Corrupt as Corrupt,
    KeyMissing as KeyMissing,
    SchemaMismatch as SchemaMismatch,
    Unreadable as Unreadable,
    WrongKey as WrongKey,
)
