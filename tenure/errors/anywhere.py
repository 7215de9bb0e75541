"""What any call may meet: a mistake in its arguments, nothing under that key, a machine or a store that cannot."""

from __future__ import annotations

from typing import final

from .base import Error, StoreError, WriteFailed


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
class NotFound(StoreError):
    """Nothing with this key is stored.

    A plain answer, and by itself no mistake. `Corrupt` is something that is there and cannot be read;
    `RuntimeDestroyed` a runtime that was there.

    Fields: what there is none of; under which key; what to do.
    """

    message = "there is no {what} {key!r}; {advice}"
    what: str
    key: str
    advice: str = "check the id"


@final
class Unsupported(StoreError):
    """The store, engine or platform has no such ability, and never had.

    The caller's side: choose another engine or another way. `UnsupportedReadScope` is one scope of a verb that is
    there.
    """

    message = "{what} is not supported here; choose another way"
    what: str


@final
class Closed(Error):
    """What was called or waited for has been closed, in order.

    Not a failure: everything acknowledged is on disk. Open it again, then ask again. `StoreBroken` is an end out of
    order.
    """

    message = "the {what} is closed; open it again first"
    what: str


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
class Internal(StoreError):
    """The library broke its own rule.

    Our side: please report it, with the detail and the cause. The store rolled back what it was doing. `Corrupt` is
    the data's side.
    """

    message = "a defect in tenure: {detail}; please report it"
    detail: str
