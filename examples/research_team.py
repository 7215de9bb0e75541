"""A team of agents over the real files of a folder: a lead spawns specialists and asks them side by side. No kill undoes it.

    python examples/research_team.py persistence --db team.db   # killed at any time and started again, it reports the same
    tenure list team.db --parent lead                           # the specialists that are there

The lead gives each part of the folder to a specialist that it spawns for this run alone: `scope="run"` and
`on_end="destroy"` let them go in the commit that ends the run, however it ends. The asks are in the record: killed in the
middle, the lead finds who was asked what and waits on, and a specialist that was killed begins its question again at
the file where it stood. What the team may read is a budget in `run.state`, spent before a question is asked and
never twice, since what was written lands with the entry that comes next.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

import tenure
from tenure.errors import AskFailed

BUDGET: Final = 100
"""Files that the team may read."""

TOP: Final = 5


def list_parts(folder: str) -> dict[str, list[str]]:
    """The files of a folder, by its parts."""
    root = Path(folder)
    parts: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        parts.setdefault(path.relative_to(root).parts[0], []).append(str(path))
    return parts


def measure(path: str) -> dict[str, Any]:
    """Read one file and count."""
    text = Path(path).read_text("utf-8", "replace")
    words = Counter(re.findall(r"[a-z]{6,}", text.lower()))
    return {"lines": text.count("\n"), "words": dict(words.most_common(50))}


async def specialist(run: tenure.Run) -> dict[str, Any]:
    """Reads the files that it is asked about, one step for each, and answers with what it found."""
    lines, words = 0, Counter[str]()
    for path in run.inputs[0].payload["files"]:
        found = await run.step("measure", measure, path, repeat="freely")
        lines += found["lines"]
        words.update(found["words"])
    return {"lines": lines, "words": dict(words.most_common(TOP))}


async def lead(run: tenure.Run) -> dict[str, Any]:
    """Splits the work, spends the budget, asks a specialist for each part, and joins what they say."""
    parts: dict[str, list[str]] = await run.step("list", list_parts, run.inputs[0].payload["folder"], repeat="freely")
    left: int = await run.state.get("budget", BUDGET)
    given: dict[str, list[str]] = {}
    for part, files in parts.items():
        given[part], left = files[:left], left - len(files[:left])
    run.state.set("budget", left)

    async def ask(part: str, files: list[str]) -> dict[str, Any]:
        child = await run.spawn(None, "specialist", scope="run", on_end="destroy")
        try:
            answer: dict[str, Any] = await run.ask(child, {"files": files}, timeout_s=3600)
        except AskFailed as exc:
            return {"part": part, "files": len(files), "failed": exc.reason}
        return {"part": part, "files": len(files), **answer}

    asked = [(part, files) for part, files in given.items() if files]
    found = await run.gather(*[partial(ask, part, files) for part, files in asked])
    words = Counter[str]()
    for each in found:
        words.update(each.get("words", {}))
    return {
        "parts": {each["part"]: each["files"] for each in found},
        "lines": sum(each.get("lines", 0) for each in found),
        "failed": [each["part"] for each in found if "failed" in each],
        "words": [word for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0]))[:TOP]],
        "budget left": left,
    }


async def main(folder: str, db: str) -> None:
    """Ask the team for a report; the same key finds it again, whatever became of the process that asked first."""
    async with tenure.open_supervisor(db, behaviours={"lead": lead, "specialist": specialist}) as supervisor:
        await supervisor.spawn("lead", "lead")
        ticket = await supervisor.runtime("lead").accept({"folder": folder}, idempotency_key=f"report on {folder}")
        report: Any = (await ticket.wait_outcome()).result
        for name, value in report.items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", help="whose Python files are read")
    parser.add_argument("--db", default=":memory:", help="the store (default: in memory)")
    arguments = parser.parse_args()
    trio.run(main, arguments.folder, arguments.db)
