"""One conversation over the real files of a folder: it branches three ways, keeps the best branch and drops the rest.

    python examples/branches.py persistence                         # reads tenure's own source
    python examples/branches.py persistence --db a.db --kill-at 20  # dies by SIGKILL at a point in the middle
    python examples/branches.py persistence --db a.db               # goes on from there; the report is the same
    python examples/branches.py persistence --db postgresql://...   # on a server

Three readers look at the same files, each on its own branch, which begins at the question. Every turn is one commit: the node
that it adds, what it cost, and its stamp. The stamp is the turn's id: a turn that had landed when the process died writes
nothing when it comes again, and returns what it returned then. When all have ended, the head moves to the branch that has
found the most, its report is attached with the same turn, and the other branches get tombstones. The bytes of the report are
on disk before that turn: where it never lands they are an orphan, and it is stored once however often it is put.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, final

import trio

import tenure

SESSION: Final = "reading"
FILES_A_TURN: Final = 8

READERS: Final[dict[str, Callable[[str], set[str]]]] = {
    "names": lambda text: set(re.findall(r"^\s*(?:async )?(?:def|class) (\w+)", text, re.MULTILINE)),
    "imports": lambda text: set(re.findall(r"^from ([\w.]+) import", text, re.MULTILINE)),
    "questions": lambda text: set(re.findall(r"[^.\n]*\?", text)),
}
"""What each reader finds in a file."""


@final
class Killer:
    """Kills this process at its n-th point, as a power cut would: nothing is cleaned up."""

    def __init__(self, at: int | None) -> None:
        """Live for ever where `at` is None."""
        self._left = at

    def point(self) -> None:
        """A place where the process may die."""
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


@final
class Conversation:
    """The session, one turn after the other."""

    def __init__(self, store: tenure.Store, killer: Killer) -> None:
        """Nothing was read yet."""
        self.session = store.sessions.bind(SESSION)
        self.files = store.attachments.bind(SESSION)
        self._killer = killer

    async def turn(self, turn_id: str, **commit: Any) -> None:
        """Commit one turn, unless it has landed before."""
        self._killer.point()
        read = await self.session.load_session(tenure.ActivePath())
        await self.session.commit_runtime_state(
            tenure.RuntimeCommit(
                session_id=SESSION,
                expected_head_revision=0 if read is None else read.head_revision,
                turn_id=turn_id,
                **commit,
            )
        )
        self._killer.point()

    async def say(self, node_id: str, parent: str | None, message: object, cost: int = 0) -> None:
        """A turn that adds one message."""
        usage = tenure.TokenLedgerEntry(
            source=node_id.partition("/")[0], model="none", usage=tenure.TokenUsage(input_tokens=cost)
        )
        await self.turn(
            node_id,
            nodes=(
                tenure.SessionNodeRecord(
                    node_id=node_id, parent_node_id=parent, payload=json.dumps(message, sort_keys=True).encode()
                ),
            ),
            usage_deltas=(usage,),
        )

    async def found_on(self, leaf: str) -> set[str]:
        """What the messages of a branch say that was found."""
        read = await self.session.load_session(tenure.ActivePath(leaf))
        messages = [json.loads(node.payload) for node in read.graph.nodes] if read is not None else []
        return {each for message in messages for each in message.get("found", [])}


async def read_files(talk: Conversation, folder: Path, reader: str, plan: list[str]) -> str:
    """One branch: a turn for some files at a time. Returns its leaf."""
    leaf = "question"
    for number, first in enumerate(range(0, len(plan), FILES_A_TURN)):
        texts = [(folder / path).read_text("utf-8", "replace") for path in plan[first : first + FILES_A_TURN]]
        found = set[str]().union(*map(READERS[reader], texts))
        node_id = f"{reader}/{number}"
        await talk.say(node_id, leaf, {"found": sorted(found)}, cost=sum(map(len, texts)))
        leaf = node_id
    return leaf


async def converse(store: tenure.Store, folder: Path, plan: list[str], killer: Killer) -> str:
    """Do what is left of the conversation, and return its report."""
    talk = Conversation(store, killer)
    await talk.say("question", None, {"files": plan})
    if await talk.session.load_node("report") is None:
        leaves = {reader: await read_files(talk, folder, reader, plan) for reader in READERS}
        found = {reader: await talk.found_on(leaf) for reader, leaf in leaves.items()}
        best = max(found, key=lambda reader: len(found[reader]))
        rows = "".join(f"{len(found[reader]):8} {reader}\n" for reader in READERS)
        report = await talk.files.put(f"the most was found by {best}\n{rows}".encode(), "report.txt")
        killer.point()
        await talk.turn(
            "report",
            nodes=(tenure.SessionNodeRecord(node_id="report", parent_node_id=leaves[best], payload=b'{"best": true}'),),
            checkpoint=tenure.SessionCheckpoint(turn_state={"best": best, "report": report}),
            committed_attachment_ids=(report,),
        )
    read = await talk.session.load_session(tenure.ActivePath())
    if read is None or read.checkpoint is None:
        message = "the conversation has no report"
        raise RuntimeError(message)
    kept = read.checkpoint.turn_state["best"]
    await talk.session.tombstone_nodes([f"{reader}/0" for reader in READERS if reader != kept])
    killer.point()
    await talk.session.vacuum()
    killer.point()
    return (await talk.files.get(read.checkpoint.turn_state["report"])).decode()


async def run(db: str, folder: Path, plan: list[str], killer: Killer) -> str:
    """Open the store and converse."""
    async with tenure.open_store(db) as store:
        return await converse(store, folder, plan, killer)


def main() -> None:
    """Read the options and converse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="whose Python files are read")
    parser.add_argument("--db", default=":memory:", help="the store: a file, or a database's URL (default: in memory)")
    parser.add_argument("--kill-at", type=int, help="die by SIGKILL at this point of the conversation")
    given = parser.parse_args()
    plan = sorted(path.relative_to(given.folder).as_posix() for path in given.folder.rglob("*.py"))
    print(trio.run(run, given.db, given.folder, plan, Killer(given.kill_at)), end="")


if __name__ == "__main__":
    main()
