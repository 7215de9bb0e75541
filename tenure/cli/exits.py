"""How the command line ends: exit codes, and errors as one line.

Scripts branch on the code, and on ``error`` in the JSON form; the text is for people.

| code | meaning | what helps |
|---|---|---|
| 0 | done | |
| 1 | refused: the store said no, or a check failed | read the error |
| 2 | wrong use of the command, or an ability that is not there | correct the call |
| 3 | there is no such store, file, runtime or input | correct the name |
| 4 | busy: another process has it just now, or its server was failed over meanwhile | try again |
| 5 | what is stored is damaged, or of another version | restore, repair, or use another release |
| 6 | the disk is full or failing | free some space, look at the disk |
| 70 | a defect in tenure | report it |
| 130 | interrupted | |
"""

from __future__ import annotations

from typing import Final

from tenure.errors import (
    CannotOpen,
    Contended,
    Corrupt,
    DiskFull,
    Error,
    Internal,
    InvalidInput,
    KeyMissing,
    NoDescriptor,
    NotADatabase,
    NotFound,
    NoThread,
    RuntimeOwned,
    SchemaMismatch,
    StoreBroken,
    StoreLocked,
    StoreMoved,
    UnknownKind,
    Unsupported,
    WrongKey,
)

DONE: Final = 0
REFUSED: Final = 1
WRONG_USE: Final = 2
NOT_THERE: Final = 3
BUSY: Final = 4
DAMAGED: Final = 5
DISK: Final = 6
DEFECT: Final = 70
INTERRUPTED: Final = 130

_CODES: Final[dict[type[Error], int]] = {
    InvalidInput: WRONG_USE,
    Unsupported: WRONG_USE,
    UnknownKind: WRONG_USE,
    NotFound: NOT_THERE,
    CannotOpen: NOT_THERE,
    NotADatabase: NOT_THERE,
    StoreLocked: BUSY,
    NoThread: BUSY,
    NoDescriptor: BUSY,
    Contended: BUSY,
    RuntimeOwned: BUSY,
    KeyMissing: REFUSED,
    WrongKey: REFUSED,
    Corrupt: DAMAGED,
    SchemaMismatch: DAMAGED,
    DiskFull: DISK,
    StoreBroken: DISK,
    StoreMoved: BUSY,
    Internal: DEFECT,
}


def exit_code(error: Error) -> int:
    """The code that an error ends the process with."""
    return _CODES.get(type(error), REFUSED)


def as_json(error: Error) -> dict[str, object]:
    """An error as an object: its class, its text, whether to try again, and its fields."""
    fields = {name: value for name, value in vars(error).items() if not name.startswith("_")}
    return {"error": type(error).__name__, "message": str(error), "retryable": error.retryable, "fields": fields}
