"""The conversation of a run, as its behaviour sees it.

Theory of operation. A run sees a path: messages of the base that it began with, and those that it has appended. What moves the
path otherwise (`pop`, `rewrite`, `fork`) is an entry of the run's record, compared when the run enters again. Both are kept in
memory and land with the next boundary, in the order in which the behaviour asked for them. Nothing is read of where the head
stands now: the base does not change, so a run that enters again sees the same path at the same place.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, final

from tenure.errors import InvalidInput
from tenure.persistence.facets.conversation.sessions import id_of_runtime, path_to
from tenure.persistence.facets.runs.runs import RunBegun
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.codec import digest, encode, message_of
from tenure.persistence.model.conversation.paths import RunPath
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.model.numbers import is_a, plain_bytes
from tenure.persistence.reading.patience import in_a_run, patiently
from tenure.persistence.store import Store
from tenure.supervisor.runs.recording.entering import Entering
from tenure.supervisor.runs.resting.turns import awaited

from .own_messages import OwnMessages
from .session_entries import (
    enter,
    reserved,
)


@final
class SessionBranch:
    """A path that `RunSession.fork` has left: `fork` goes there again, in the same run."""

    __slots__ = ("path", "session")

    def __init__(self, session: RunSession, path: RunPath) -> None:
        """Made by `RunSession.fork`."""
        self.session = session
        self.path = path

    @property
    def count(self) -> int:
        """How many messages are on it."""
        return self.path.count


@final
class RunSession:
    """What stood when the run began, and what the run made of it.

    In a branch of `gather`, `map` or `first`: what the branch appends, after what stood when it began.
    """

    def __init__(self, store: Store, begun: RunBegun, entering: Entering, own: OwnMessages) -> None:
        """Made by the host."""
        self._store = store
        self._entering = self._opens = entering
        self._base = begun.base
        self._base_count = begun.base_count
        self._own = own

    @property
    def count(self) -> int:
        """Messages on the path, with those that this run appended so far."""
        return self._own.path.count + len(self._inner())

    def append(self, message: object) -> None:
        """Append a message: bytes as they are, anything else as JSON. It lands with the next boundary of the run.

        Raises:
            InvalidInput: The message has no JSON form; or a step with ``call=`` is in flight beside it.
            RunEnded: The run is over.
        """
        self._entering.check_open()
        encoded = _encoded(message)
        self._entering.buffers("a message", encoded).appended.append(encoded)

    @awaited
    @checked
    async def pop(self, count: int = 1) -> list[Any]:
        """Take back the last messages, and return them, the oldest first. Lands with the next boundary of the run.

        They are hidden from every read then, and `prune` deletes them; but what a branch of the session stands on stays.

        Args:
            count: How many; where there are fewer, all of them.

        Raises:
            InvalidInput: `count` is below 1; or it is asked for in a branch, in a step, or beside a step with ``call=``.
            StepMismatch: The run did something else here before. Holds the runtime.
            RunEnded: The run is over.
        """
        if count < 1:
            raise InvalidInput(detail=f"{count} is below 1", field="count")
        async with self._entry(EntryKind.POP, [count]) as place:
            path = self._own.path
            messages = await self._read(path)
            left = path.first(max(path.count - count, 0))
            self._own.move(place, EntryKind.POP, left)
        return [message_of(message) for message in messages[left.count :]]

    @awaited
    @checked
    async def rewrite(self, messages: Iterable[object], *, keep: int = 0, reason: str | None = None) -> None:
        """Put messages in the place of what is said so far, as a compaction does. Lands with the next boundary of the run.

        What was there is hidden from every read then, as after `pop`. A snapshot of the session names the rewrite.

        Args:
            messages: The new ones, each as in `append`.
            keep: How many of the first messages stay before them.
            reason: Why, for people.

        Raises:
            InvalidInput: There are fewer messages than `keep`; a message has no JSON form; or as for `pop`.
            StepMismatch, RunEnded: As for `pop`.
        """
        encoded = [_encoded(message) for message in messages]
        arguments = [keep, *[digest(message).hex() for message in encoded]]
        self._check_number(keep, "keep")
        async with self._entry(EntryKind.REWRITE, arguments) as place:
            start = len(self._own.appended)
            path = self._own.path.first(keep).extended(start, start + len(encoded))
            self._own.appended += encoded
            self._own.move(place, EntryKind.REWRITE, path, added=len(encoded), reason=reason)

    @awaited
    @checked
    async def fork(self, at: int | SessionBranch) -> SessionBranch:
        """Leave the conversation as a branch, and go on from another place. Lands with the next boundary of the run.

        The branch stays in the session, where `Store.sessions` reads it, until its nodes get a tombstone. What a fork goes back
        to is there again, also where it was hidden since.

        Args:
            at: The number of the message to go on from, 0 for none of them; or a branch that this run has left before.

        Returns:
            What was left: `fork` of it goes there again.

        Raises:
            InvalidInput: There are fewer messages; the branch is another run's; or as for `pop`.
            StepMismatch, RunEnded: As for `pop`.
        """
        if isinstance(at, SessionBranch):
            if at.session is not self:
                raise InvalidInput(detail="it is a branch that another run has left", field="at")
            path = at.path
        else:
            self._check_number(at, "at")
            path = self._own.path.first(at)
        left = self._own.path
        async with self._entry(EntryKind.FORK, [path.kept, path.own]) as place:
            self._own.move(place, EntryKind.FORK, path)
        return SessionBranch(self, left)

    @awaited
    @checked
    async def attach(self, data: bytes | Path, canonical_uri: str = "") -> str:
        """Attach a file to the session, and return its id. Its bytes are on disk then; it is committed with the next boundary.

        The same bytes are stored once. A run that fails before that boundary leaves what `Store.attachments.collect` takes when
        its host has gone.

        Args:
            data: The bytes; or the path of a file, of which a few megabytes are in memory at a time.
            canonical_uri: Where it comes from, for people.

        Raises:
            CannotOpen: The file cannot be read.
            InvalidInput: Something else of the branch is in flight; it is asked for in a step; or the file changed meanwhile.
            StepMismatch: The run attached another one here before. Holds the runtime.
            RunEnded: The run is over.

        A full disk, and a process without file descriptors, are waited for, as in every verb of a run.
        """
        branch, files = self._entering.buffers("an attachment"), self._store.attachments
        with reserved(branch, "attach"):
            attachment_id = await in_a_run(partial(files.id_of, data))
        arguments = digest(encode([attachment_id, canonical_uri], "arguments"))
        async with enter(self._entering, EntryKind.ATTACH, arguments):
            session_id = await in_a_run(self._find_session)
            if not await in_a_run(partial(files.is_committed, session_id, attachment_id)):
                put = files.put if isinstance(data, bytes) else files.put_file
                given: Any = data if isinstance(data, bytes) else str(data)
                if await in_a_run(partial(put, session_id, given, canonical_uri)) != attachment_id:
                    raise InvalidInput(detail="the file changed while it was read", field="data")
            branch.attached += (attachment_id,)
        return attachment_id

    @awaited
    async def raw_messages(self) -> list[bytes]:
        """The path as bytes, first to last, with what this run appended. Reads the whole conversation.

        Raises:
            RunEnded: The run is over.
        """
        return [*await self._read(self._own.path), *self._inner()]

    @awaited
    async def messages(self) -> list[Any]:
        """The path, first to last, with what this run appended. Reads the whole conversation.

        JSON is decoded, and bytes that are no JSON are bytes.

        Raises:
            RunEnded: The run is over.
        """
        return [message_of(message) for message in await self.raw_messages()]

    # Inside

    async def _find_session(self) -> str:
        if not self._own.session_id:
            find = partial(id_of_runtime, runtime_id=self._entering.runtime_id)
            self._own.session_id = await self._store.read(find)
        return self._own.session_id

    async def _read(self, path: RunPath) -> list[bytes]:
        read = partial(path_to, head=self._base, count=self._base_count)
        base = await patiently(partial(self._store.read, read))
        return [*base[: path.kept], *path.own_messages(self._own.appended)]

    def _inner(self) -> list[bytes]:
        branch, seen = self._entering.branch, list[bytes]()
        while branch.around is not None:
            seen = [*branch.appended, *seen]
            branch = branch.around
        return seen

    def _entry(self, kind: EntryKind, arguments: list[Any]) -> Any:
        self._entering.only_main(f"a {kind} of the session")
        self._entering.buffers(f"a {kind} of the session")
        return enter(self._entering, kind, digest(encode(arguments, "arguments")))

    def _check_number(self, number: int, field: str) -> None:
        count = self._own.path.count
        if not 0 <= number <= count:
            raise InvalidInput(detail=f"{number} is not from 0 to {count}, the number of messages", field=field)


def _encoded(message: object) -> bytes:
    """Bytes as they are, without what a subclass may have made of them; anything else as JSON. Raises `InvalidInput`."""
    return plain_bytes(message, "message") if is_a(message, bytes) else encode(message, "message")
