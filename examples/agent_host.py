"""A host of agents that read source code, and that loses nothing when it is killed.

    python examples/agent_host.py                               # reads the standard library
    python examples/agent_host.py --db a.db --kill-after 2000   # dies by SIGKILL in the middle
    python examples/agent_host.py --db a.db --report a.md       # continues; the report is whole

Each folder of source and each top-level module has a runtime of kind `reader`; each of its inputs
is one file. For a file the reader plans which tools to call, calls them as recorded steps, appends
its finding to its own session and sends it to the one `librarian`. What a run appends and sends
lands in the commit that consumes its input, so each file's finding reaches the librarian exactly
once, whenever the host dies. The librarian collects, and writes the report when the host asks.

The path is each input's idempotency key. So a host that starts again simply hands over all files
again, and those that were read are answered from disk.
"""

from __future__ import annotations

import functools
import hashlib
import os
import signal
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypedDict, cast, final

import attrs
import trio
from code_reading.display import Display, open_display
from code_reading.findings import Finding, Imports, Measures, Outline
from code_reading.options import Options, read_options
from code_reading.report import Totals, total_of, totals_by_agent, write_report
from code_reading.sources import FileInput, SourceFile, find_files
from code_reading.tools import Toolbox, plan

import tenure
from tenure.errors import Error, IdempotencyConflict

LIBRARIAN: Final = "librarian"
LIBRARIAN_BATCH: Final = 64
"""Findings come faster than one commit each can take them; so many share a run."""
FILES_IN_FLIGHT: Final = 64
"""How many files of one agent are in its inbox; all of a large source would only cost memory."""
CLOSING_ROWS: Final = 12
MAX_PROBLEM_LINES: Final = 10


class ReportInput(TypedDict):
    """The host's last word to the librarian: write the report on these files."""

    report: str
    paths: list[str]


@final
class ReportMessage(TypedDict):
    """The librarian's answer, kept in its session under the digest of the files."""

    report: str
    text: str


class HostError(Exception):
    """The work cannot be finished; the message is for the person who started it."""


# --- The two behaviours ---------------------------------------------------------------------------


async def reader(run: tenure.Run) -> None:
    """Read the one file of this run and send what was found to the librarian."""
    for entry in run.inputs:
        file = cast("FileInput", entry.payload)
        path, digest = file["path"], file["digest"]
        tools = Toolbox(file["root"])
        # Tools only read: a step whose result did not reach the disk is simply repeated.
        outline: Outline = await run.step("parse", tools.parse, path, digest, repeat="freely")
        measures: Measures | None = None
        imports: Imports | None = None
        for tool in plan(outline):
            if tool == "measure":
                measures = await run.step(tool, tools.measure, path, digest, repeat="freely")
            else:
                imports = await run.step(tool, tools.resolve, path, digest, repeat="freely")
        finding = Finding(path=path, agent=run.runtime_id, outline=outline, measures=measures, imports=imports)
        run.session.append(finding)
        run.send(LIBRARIAN, finding)


async def librarian(run: tenure.Run) -> None:
    """Keep each finding that was sent, and write the report when the host asks for it.

    Only a run with a request reads the session: that costs what the session has grown to. The host
    asks when all readers are done, so every finding stands in the session as this run found it, or
    in this run's own batch.
    """
    findings: list[Finding] = []
    requests: list[ReportInput] = []
    for entry in run.inputs:
        if "report" in cast("dict[str, object]", entry.payload):
            requests.append(cast("ReportInput", entry.payload))
        else:
            findings.append(cast("Finding", entry.payload))
    if requests:
        messages = cast("list[Finding | ReportMessage]", await run.session.messages())
        known = [message for message in messages if "path" in message] + findings
        for request in requests:
            write = functools.partial(_write_report, known, request["paths"])
            text: str = await run.step("report", write, request["report"], repeat="freely")
            run.session.append(ReportMessage(report=request["report"], text=text))
    for finding in findings:
        run.session.append(finding)


def _write_report(findings: Sequence[Finding], paths: Sequence[str], _key: str) -> str:
    # The key is the step's only recorded argument; it stands for megabytes of findings.
    return write_report(findings, paths)


# --- The host -------------------------------------------------------------------------------------


@final
@attrs.define(slots=True, kw_only=True)
class Progress:
    """How far the reading is, for all agents together."""

    total: int
    display: Display
    done: int = 0
    known: int = 0
    failed: list[str] = attrs.field(factory=list[str])


async def host(options: Options, display: Display) -> bool:
    """Read all files and write the report. True when each file was read and counted once."""
    began = time.perf_counter()
    files = chosen_files(options)
    agents: defaultdict[str, list[SourceFile]] = defaultdict(list)
    for file in files:
        agents[file.agent].append(file)
    display.say(f"files: {len(files)}, agents: {len(agents)}, database: {options.db}")
    progress = Progress(total=len(files), display=display)
    collecting = tenure.Behaviour(librarian, batch=LIBRARIAN_BATCH)
    key = ""
    messages: list[Finding | ReportMessage] = []
    async with (
        tenure.open_supervisor(options.db, behaviours={"reader": reader, LIBRARIAN: collecting}) as supervisor,
        trio.open_nursery() as background,  # owned here: the watch that --kill-after asks for
    ):
        if options.kill_after is not None:
            background.start_soon(kill_after, supervisor, options.kill_after, display)
        # The librarian first: a send to a runtime that was never spawned is refused.
        collector = await spawn_ready(supervisor, LIBRARIAN, LIBRARIAN)
        # Owned here: one task for each agent; it closes when all is read.
        async with trio.open_nursery() as readers:
            for agent, own in agents.items():
                readers.start_soon(employ, supervisor, agent, own, progress)
        if progress.failed:
            raise HostError(f"no report: files were not read\n{first_lines(progress.failed)}")
        key = await ask_for_report(collector, files)
        commits = supervisor.statistics().commits
        messages = cast("list[Finding | ReportMessage]", await supervisor.read_session(LIBRARIAN))
        background.cancel_scope.cancel()
    if not messages:  # SIGTERM ends the body, as a normal exit: no exception says so
        raise HostError(f"stopped; the same command with --db {options.db} continues")
    reports = {message["report"]: message["text"] for message in messages if "text" in message}
    write_atomically(options.report, reports[key])
    seconds = time.perf_counter() - began
    wanted = {file.path for file in files}
    findings = [each for each in messages if "path" in each and each["path"] in wanted]
    show_closing(display, findings)
    speed = f"{commits} commits in {seconds:.1f} s, {commits / seconds:.0f} a second"
    display.say(f"{speed}; files known from before: {progress.known}")
    display.say(f"report: {options.report}")
    return counted_once(display, findings, wanted)


def chosen_files(options: Options) -> list[SourceFile]:
    """Choose the files of the first `--agents` agents by name, and of those the first `--limit`."""
    found = find_files(options.source)
    if not found:
        raise HostError(f"no Python source in {options.source}")
    agents = set(sorted({file.agent for file in found})[: options.agents])
    return [file for file in found if file.agent in agents][: options.limit]


async def spawn_ready(supervisor: tenure.Supervisor, runtime_id: str, kind: str) -> tenure.Runtime:
    """Spawn a runtime that will run.

    Raises:
        HostError: It is held, so a caller who waited for it would wait for a person.
    """
    runtime = await supervisor.spawn(runtime_id, kind)
    if runtime.held:
        raise HostError(f"{runtime_id} is held and waits for a person: {runtime.held}")
    return runtime


async def employ(supervisor: tenure.Supervisor, agent: str, files: Sequence[SourceFile], progress: Progress) -> None:
    """Spawn one agent and hand it its files, a window of them at a time."""
    runtime = await spawn_ready(supervisor, agent, "reader")
    window = trio.Semaphore(FILES_IN_FLIGHT)
    # Owned here: one task for each file in the window.
    async with trio.open_nursery() as waiting:
        for file in files:
            await window.acquire()
            waiting.start_soon(hand_over, runtime, file, window, progress)


async def hand_over(runtime: tenure.Runtime, file: SourceFile, window: trio.Semaphore, progress: Progress) -> None:
    """Give one file to its agent and wait until it was read."""
    try:
        ticket = await runtime.accept(file.as_input(), idempotency_key=file.path)
    except IdempotencyConflict as exc:
        # Another digest, or another --source. Reading it anew would count one path twice.
        raise HostError(f"{file.path} is not what this --db was given; use a new one") from exc
    outcome = await ticket.wait_outcome()
    window.release()
    progress.known += ticket.deduplicated
    progress.done += 1
    progress.display.advance(progress.done, progress.total)
    if outcome.phase != "consumed":
        progress.failed.append(f"{file.path}: {told(outcome)}")


async def ask_for_report(collector: tenure.Runtime, files: Sequence[SourceFile]) -> str:
    """Have the librarian write the report on `files`; return its key, a digest of these files."""
    lines = "".join(f"{file.digest} {file.path}\n" for file in files)
    key = hashlib.sha256(lines.encode()).hexdigest()
    request = ReportInput(report=key, paths=[file.path for file in files])
    ticket = await collector.accept(request, idempotency_key=f"report:{key}")
    outcome = await ticket.wait_outcome()
    if outcome.phase != "consumed":
        raise HostError(f"no report: {told(outcome)}")
    return key


def told(outcome: tenure.Outcome) -> str:
    """Say in one line how an input ended."""
    said = (outcome.error or "").partition("\n")[0]  # after it stands where the error was raised
    return f"{outcome.phase} {outcome.reason or ''} {said}".rstrip()


async def kill_after(supervisor: tenure.Supervisor, commits: int, display: Display) -> None:
    """End this process as by `kill -9` once it has made so many commits."""
    # Sampled: an event for each commit would be there for this option alone.
    while supervisor.statistics().commits < commits:  # noqa: ASYNC110
        await trio.sleep(0.001)
    display.leave(f"killed after {supervisor.statistics().commits} commits")
    os.kill(os.getpid(), signal.SIGKILL)


# --- What the person sees -------------------------------------------------------------------------


def show_closing(display: Display, findings: Sequence[Finding]) -> None:
    """Show the agents that read most, and the sums over all."""
    by_agent = totals_by_agent(findings)
    largest = sorted(by_agent, key=lambda agent: (-by_agent[agent].lines, agent))[:CLOSING_ROWS]
    rows = [[agent, *closing_cells(by_agent[agent])] for agent in largest]
    rest = set(by_agent).difference(largest)
    if rest:
        others = total_of(finding for finding in findings if finding["agent"] in rest)
        rows.append([f"other agents: {len(rest)}", *closing_cells(others)])
    rows.append([f"all agents: {len(by_agent)}", *closing_cells(total_of(findings))])
    display.table(["agent", "files", "unparsed", "lines", "functions", "documented"], rows)


def closing_cells(totals: Totals) -> list[str]:
    """Give the numbers of one row; the report has more of them."""
    counts = (totals.files, totals.unparsed, totals.lines, totals.functions)
    return [*(str(count) for count in counts), f"{totals.share_documented()} %"]


def counted_once(display: Display, findings: Sequence[Finding], wanted: set[str]) -> bool:
    """Whether the librarian holds exactly one finding for each file."""
    read = {finding["path"] for finding in findings}
    if len(findings) == len(read) == len(wanted):
        return True
    display.say(f"WRONG: {len(findings)} findings on {len(read)} of {len(wanted)} files")
    return False


def first_lines(lines: Sequence[str]) -> str:
    """Join the first of many lines, and say how many more there are."""
    more = len(lines) - MAX_PROBLEM_LINES
    return "\n".join([*lines[:MAX_PROBLEM_LINES], *([f"and {more} more"] if more > 0 else [])])


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that no reader ever sees half of it."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text, encoding="utf-8", newline="\n")
    draft.replace(path)


def main() -> int:
    """Run the host; 0 when all was read and counted once, 1 when not, 130 when interrupted."""
    options = read_options()
    # Doubtful literals in what is read are no news. Once and here: filters are the process's.
    warnings.simplefilter("ignore", SyntaxWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    code = 1
    try:
        with open_display() as display:
            code = 0 if trio.run(host, options, display) else 1
    except* KeyboardInterrupt:
        print(f"interrupted; the same command with --db {options.db} continues", file=sys.stderr)
        code = 130
    except* (HostError, Error) as problems:
        lines = [f"{type(leaf).__name__}: {leaf}" for leaf in _leaves(problems)]
        print(first_lines(lines), file=sys.stderr)
    return code


def _leaves(problems: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for each in problems.exceptions:
        if isinstance(each, BaseExceptionGroup):
            leaves += _leaves(cast("BaseExceptionGroup[BaseException]", each))
        else:
            leaves.append(each)
    return leaves


if __name__ == "__main__":
    sys.exit(main())
