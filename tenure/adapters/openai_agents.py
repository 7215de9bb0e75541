"""A session of the OpenAI Agents SDK in a store of tenure.

    async with tenure.asyncio.open_store("agents.db") as store:
        session = TenureSession("alice", store)
        result = await Runner.run(agent, "hello", session=session)

Theory of operation. An item is a node of the session's graph in `store.sessions`, chained to the one before it, and what the
framework sees is the path from a first node, the root, to the head. An append is one commit, built on the head that this object
saw last; where another object, or another process, has moved that head meanwhile, it is read again and the commit built again.
Taking an item back, and compaction, move the head. So each is there as a whole or not at all, over any crash.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import count
from os import urandom
from typing import Any, Final, NamedTuple, cast, final
from weakref import WeakKeyDictionary

from attrs import frozen

from tenure import ActivePath, FullGraph, RuntimeCommit, SessionNodeRecord
from tenure.adapters.checking import check_value, checked, short_text
from tenure.asyncio import Store
from tenure.errors import Corrupt, HeadRevisionConflict, InvalidInput, NodeConflict

try:
    from agents import SessionSettings, TResponseInputItem
except ModuleNotFoundError as exc:
    exc.add_note("this adapter needs more: pip install 'tenure[openai-agents]'")
    raise

_ROOT: Final = "openai-agents"
"""The id and the kind of the node that all items stand on; it carries the version of the form that they have."""

_ITEM: Final = "openai-agents.item"
"""The kind of the node of an item; its payload is JSON."""

_ID_BYTES: Final = 16
"""Random bytes that the ids of one object's items begin with."""

_TO_JSON: Final = json.JSONEncoder(separators=(",", ":")).encode

_FIRST: Final = SessionNodeRecord(node_id=_ROOT, kind=_ROOT, payload=b'{"version":1}')


@final
class _Head(NamedTuple):
    revision: int
    leaf: str | None


@final
class _Ids:
    """Ids of items: each begins with the random bits of this object, and ends with the next number.

    The system is not asked for bits for each, since that lets go of the interpreter lock: the thread that writes, which has
    just answered the append before, takes the lock then and is waited for. In their order they go to one page of their index.
    A process that was forked cannot use a store of its parent, so it never gives the same ids.
    """

    def __init__(self) -> None:
        self._begin = urandom(_ID_BYTES).hex()
        self._numbers = count()  # whose `next` is one step for threads

    def new(self) -> str:
        """One more."""
        return f"{self._begin}{next(self._numbers):08x}"


@final
@frozen(kw_only=True, slots=True)
class _End:
    """The end of a history: its head, and the nodes of its last items, oldest first.

    Attributes:
        head: What a commit is built on.
        nodes: The last items.
        whole: Whether there are no items before them.
    """

    head: _Head
    nodes: tuple[SessionNodeRecord, ...]
    whole: bool


@final
@frozen(kw_only=True, slots=True)
class _Suffix:
    """The end of a history as compaction reads it, and how that end is replaced.

    Attributes:
        items: The last items, oldest first.
        complete: Whether there are none before them.
        replace_suffix: Put these items in place of those from an index on, in one commit; False, and nothing, where the history
            does not end with them any more.
    """

    items: list[TResponseInputItem]
    complete: bool
    replace_suffix: Callable[[int, list[TResponseInputItem]], Awaitable[bool]]


@final
@checked
class TenureSession:
    """One conversation: the `Session` of the framework, on disk when a verb returns.

    Several objects, tasks and processes may use one conversation: their appends all land, each whole, in some order. Every verb
    that writes is one commit, but for `clear_session`. Compaction is the framework's own `OpenAIResponsesCompactionSession`
    around this; where that one asks for it, the compacted items take the place of the others in one commit.

    Cancellation is that of the store: a commit that was taken is waited for, and the cancellation comes at the next await.

    Attributes:
        session_id: Which session of the store.
        session_settings: With the limit of `get_items` where a call has none.
    """

    def __init__(
        self,
        session_id: str,
        store: Store,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        """Nothing is read or written before the first verb.

        Args:
            session_id: Which session. It need not be there yet.
            store: That of `tenure.asyncio.open_store`, or `supervisor.store`; it stays its opener's to close.
            session_settings: As the framework's own sessions take them.

        Raises:
            InvalidInput: One of them is none.
        """
        check_value(store, Store, "store")
        check_value(session_settings, SessionSettings | dict[str, Any] | None, "session_settings")
        self.session_id = store.sessions.bind(session_id).session_id
        self.session_settings: SessionSettings | None = _settings(session_settings)
        self._sessions = store.sessions
        self._head: _Head | None = None
        self._ids = _Ids()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The latest items, oldest first.

        Args:
            limit: At most so many; None for the limit of the settings, or all.

        Raises:
            InvalidInput: The session was written by something else.
            ReadFailed: What is stored cannot be given.
        """
        if limit is None:
            limit = SessionSettings().resolve(self.session_settings).limit
        if limit is not None and limit < 1:
            return []
        return [_decoded(node) for node in (await self._read(limit)).nodes]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append items, all of them or none.

        Raises:
            InvalidInput: One is not JSON, or the session was written by something else; nothing was written.
            WriteFailed: Nothing was written.
        """
        if not items:
            return
        payloads = [_encoded(item) for item in items]
        async with self._turn():
            head = self._head or await self._read_head()
            while not await self._moved(head, self._chain(payloads, after=head.leaf)):
                head = await self._read_head()

    async def pop_item(self) -> TResponseInputItem | None:
        """Take back the latest item, and return it; None where there is none. Each item is returned to one caller.

        It stays in the file as a branch of the session, until the session is compacted or cleared.
        """
        async with self._turn():
            while True:
                end = await self._read(1)
                if not end.nodes:
                    return None
                item = _decoded(end.nodes[-1])
                if await self._moved(end.head, (), leaf=end.nodes[-1].parent_node_id):
                    return item

    async def clear_session(self) -> None:
        """Take back every item, in one commit, and delete from the file what the session has left, in further ones.

        What is cut off after the first is deleted by the next call.
        """
        async with self._turn():
            head = await self._read_head()
            while head.leaf not in {None, _ROOT} and not await self._moved(head, (), leaf=_ROOT):
                head = await self._read_head()
            await self._delete_left()

    async def _get_compaction_snapshot(
        self, limit: int, *, prune_prefix: Callable[[TResponseInputItem], bool] | None = None
    ) -> _Suffix:
        """What the framework's wrappers ask for where a session can replace its end at once."""
        read = await self._read(limit)

        async def replace_suffix(start: int, output: list[TResponseInputItem]) -> bool:
            return await self._replace([node.node_id for node in read.nodes[start:]], output, prune_prefix)

        items = [_decoded(node) for node in read.nodes]
        return _Suffix(items=items, complete=read.whole, replace_suffix=replace_suffix)

    # Reading

    async def _read(self, last: int | None) -> _End:
        """The last items, or all of them."""
        found = await self._sessions.load_session(self.session_id, ActivePath(last=None if last is None else last + 1))
        if found is None:
            return _End(head=_Head(revision=0, leaf=None), nodes=(), whole=True)
        nodes, leaf = found.graph.nodes, found.graph.leaf_node_id
        for node in nodes:
            if node.kind not in {_ROOT, _ITEM}:
                detail = f"its nodes are of the kind {node.kind!r}: the session was written by something else"
                raise InvalidInput(detail=detail, field="session_id")
        items = tuple([node for node in nodes if node.kind == _ITEM])
        return _End(
            head=_Head(revision=found.head_revision, leaf=leaf),
            nodes=items if last is None else items[-last:],
            whole=last is None or len(items) <= last,
        )

    async def _read_head(self) -> _Head:
        return (await self._read(1)).head

    # Writing

    async def _moved(self, head: _Head, nodes: Sequence[SessionNodeRecord], *, leaf: str | None = None) -> bool:
        """Append nodes and move the head; False where it is another one by now, and nothing was written."""
        commit = RuntimeCommit(
            session_id=self.session_id, expected_head_revision=head.revision, nodes=tuple(nodes), leaf_node_id=leaf
        )
        self._head = None
        try:
            landed = await self._sessions.commit_runtime_state(commit)
        except HeadRevisionConflict:
            return False
        self._head = _Head(landed.head_revision, landed.leaf_node_id)
        return True

    def _chain(self, payloads: Iterable[bytes], *, after: str | None) -> list[SessionNodeRecord]:
        """New nodes, each on the one before; the first of a session on its root."""
        nodes = [] if after is not None else [_FIRST]
        for payload in payloads:
            before = nodes[-1].node_id if nodes else after
            nodes.append(SessionNodeRecord(node_id=self._ids.new(), kind=_ITEM, payload=payload, parent_node_id=before))
        return nodes

    async def _replace(
        self,
        expected: Sequence[str],
        output: Iterable[TResponseInputItem],
        expired: Callable[[TResponseInputItem], bool] | None,
    ) -> bool:
        """Replace the last items, and drop those before them that have expired from the first on."""
        payloads = [_encoded(item) for item in output]
        if not expected:
            return False
        async with self._turn():
            while True:
                end = await self._read(len(expected) if expired is None else None)
                at = len(end.nodes) - len(expected)
                if [node.node_id for node in end.nodes[at:]] != list(expected):
                    return False
                after, new = end.nodes[at].parent_node_id, payloads
                kept = _kept(end.nodes[:at], expired)
                if kept is not None:  # the path has a new beginning, so all that stays stands on it again
                    after, new = _ROOT, [*kept, *payloads]
                if await self._moved(end.head, self._chain(new, after=after), leaf=None if new else after):
                    break
            await self._delete_left()
            return True

    async def _delete_left(self) -> None:
        """Delete what the head does not lead to."""
        while (found := await self._sessions.load_session(self.session_id, FullGraph())) is not None:
            parents = {node.node_id: node.parent_node_id for node in found.graph.nodes}
            path: set[str | None] = {None}
            at = found.graph.leaf_node_id
            while at is not None:
                path.add(at)
                at = parents[at]
            try:
                await self._sessions.tombstone_nodes(
                    self.session_id, [node for node, parent in parents.items() if node not in path and parent in path]
                )
                break
            except NodeConflict:
                continue  # another process has moved the head there
        await self._sessions.vacuum(self.session_id)

    def _turn(self) -> asyncio.Lock:
        """One writer at a time for each loop that uses this: tasks of one program do not get in the way of each other."""
        loop = asyncio.get_running_loop()
        turn = self._turns.get(loop)
        if turn is None:
            turn = self._turns[loop] = asyncio.Lock()
        return turn


def _settings(given: SessionSettings | dict[str, Any] | None) -> SessionSettings:
    try:
        return SessionSettings().resolve(given)
    except Exception as exc:  # what they name may be of any class
        raise InvalidInput(detail=f"no settings: {short_text(exc)}", field="session_settings") from exc


def _kept(
    nodes: Sequence[SessionNodeRecord], expired: Callable[[TResponseInputItem], bool] | None
) -> list[bytes] | None:
    """What stays of a beginning; None where all of it does."""
    gone = 0
    if expired is not None:
        while gone < len(nodes) and expired(_decoded(nodes[gone])):
            gone += 1
    return [node.payload for node in nodes[gone:]] if gone else None


def _encoded(item: TResponseInputItem) -> bytes:
    try:
        return _TO_JSON(item).encode()
    except Exception as exc:  # a caller's class may raise anything here
        raise InvalidInput(detail=f"an item is not JSON: {short_text(exc)}", field="items") from exc


def _decoded(node: SessionNodeRecord) -> TResponseInputItem:
    try:
        return cast("TResponseInputItem", json.loads(node.payload))
    except ValueError as exc:
        raise Corrupt(record="node", key=node.node_id, detail="its payload is not JSON") from exc
