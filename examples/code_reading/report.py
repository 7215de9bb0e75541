"""The report on source that agents have read: a pure function of their findings.

The same findings in any order give the same bytes: everything is sorted, and no time, no machine
and no folder of this run is named. A finding that came twice is not hidden, since coming once is
what the host promises.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, final

import attrs

from .findings import Finding, Function, Imports

MAX_FUNCTION_ROWS: Final = 25
MAX_IMPORT_ROWS: Final = 25


@final
@attrs.define(slots=True, kw_only=True)
class Totals:
    """The sums over the findings of one agent, or of several."""

    files: int = 0
    unparsed: int = 0
    lines: int = 0
    classes: int = 0
    functions: int = 0
    documented: int = 0
    function_lines: int = 0
    arguments: int = 0
    complexity: int = 0

    def add(self, finding: Finding) -> None:
        """Count one finding."""
        outline, measures = finding["outline"], finding["measures"]
        self.files += 1
        self.unparsed += outline["status"] != "parsed"
        self.lines += outline["lines"]
        self.classes += outline["classes"]
        if measures is not None:
            self.functions += measures["functions"]
            self.documented += measures["documented"]
            self.function_lines += measures["lines"]
            self.arguments += measures["arguments"]
            self.complexity += measures["complexity"]

    def share_documented(self) -> str:
        """Give the share of functions with a docstring, in percent."""
        return _ratio(100 * self.documented, self.functions)

    def cells(self) -> list[str]:
        """Give the cells that stand under `TOTAL_COLUMNS`."""
        counts = (self.files, self.unparsed, self.lines, self.classes, self.functions)
        means = (self.function_lines, self.arguments, self.complexity)
        return [
            *(str(count) for count in counts),
            f"{self.share_documented()} %",
            *(_ratio(total, self.functions) for total in means),
        ]


TOTAL_COLUMNS: Final = (
    "files",
    "unparsed",
    "lines",
    "classes",
    "functions",
    "documented",
    "mean length",
    "mean arguments",
    "mean complexity",
)


def totals_by_agent(findings: Iterable[Finding]) -> dict[str, Totals]:
    """Sum up the findings of each agent, sorted by the agent's name."""
    totals: defaultdict[str, Totals] = defaultdict(Totals)
    for finding in findings:
        totals[finding["agent"]].add(finding)
    return dict(sorted(totals.items()))


def total_of(findings: Iterable[Finding]) -> Totals:
    """Sum up all findings."""
    total = Totals()
    for finding in findings:
        total.add(finding)
    return total


def write_report(findings: Iterable[Finding], paths: Sequence[str]) -> str:
    """Write the markdown report on exactly the files at `paths`, whatever else was found."""
    wanted = set(paths)
    # By the whole finding after the path: two different findings on one file must not depend on
    # arrival.
    told = [finding for finding in findings if finding["path"] in wanted]
    told.sort(key=lambda finding: (finding["path"], str(finding)))
    parts = (
        _overview(told, wanted),
        _agents(told),
        _functions(told),
        _imports(told),
        _problems(told),
        _files(told),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _overview(findings: list[Finding], wanted: set[str]) -> list[str]:
    received = Counter(finding["path"] for finding in findings)
    twice = sorted(path for path, count in received.items() if count > 1)
    missing = sorted(wanted - received.keys())
    total = total_of(findings)
    return [
        "# What the agents read",
        "",
        f"- files asked for: {len(wanted)}",
        f"- files with a finding: {len(received)}",
        f"- files counted twice: {len(twice)}{_listed(twice)}",
        f"- files without a finding: {len(missing)}{_listed(missing)}",
        f"- agents: {len({finding['agent'] for finding in findings})}",
        f"- lines: {total.lines}",
        f"- functions: {total.functions}, classes: {total.classes}",
    ]


def _agents(findings: list[Finding]) -> list[str]:
    rows = [[_code(agent), *totals.cells()] for agent, totals in totals_by_agent(findings).items()]
    rows.append(["**all**", *total_of(findings).cells()])
    return ["## Agents", "", *_table(["agent", *TOTAL_COLUMNS], rows)]


def _functions(findings: list[Finding]) -> list[str]:
    columns = ["function", "file", "line", "lines", "arguments", "complexity"]
    complex_ones: list[tuple[str, Function]] = []
    long_ones: list[tuple[str, Function]] = []
    for finding in findings:
        if (measures := finding["measures"]) is not None:
            complex_ones += [(finding["path"], each) for each in measures["most_complex"]]
            long_ones += [(finding["path"], each) for each in measures["longest"]]
    complex_ones.sort(key=lambda pair: (-pair[1]["complexity"], pair[0], pair[1]["line"]))
    long_ones.sort(key=lambda pair: (-pair[1]["lines"], pair[0], pair[1]["line"]))
    return [
        "## Most complex functions",
        "",
        "Three of a file at most. Complexity: 1 and 1 for each if, elif, for, while, except, case.",
        "",
        *_table(columns, [_function_row(*pair) for pair in complex_ones[:MAX_FUNCTION_ROWS]]),
        "",
        "## Longest functions",
        "",
        *_table(columns, [_function_row(*pair) for pair in long_ones[:MAX_FUNCTION_ROWS]]),
    ]


def _function_row(path: str, function: Function) -> list[str]:
    numbers = (function["line"], function["lines"], function["arguments"], function["complexity"])
    return [_code(function["name"]), _code(path), *(str(number) for number in numbers)]


def _imports(findings: list[Finding]) -> list[str]:
    standard: Counter[str] = Counter()
    same: Counter[str] = Counter()
    third: Counter[str] = Counter()
    own = 0
    for imports in (finding["imports"] for finding in findings):
        if imports is not None:
            own += bool(imports["own_package"])
            standard.update(imports["standard_library"])
            same.update(imports["same_source"])
            third.update(imports["third_party"])
    groups = (("standard library", standard), ("same source", same), ("third party", third))
    rows = [[_code(name), group, str(count)] for group, names in groups for name, count in _most_common(names)]
    return [
        "## Imports",
        "",
        f"{own} files import from their own package.",
        f"Of each other group, the {MAX_IMPORT_ROWS} names that most files import:",
        "",
        *_table(["name", "group", "files"], rows),
    ]


def _most_common(names: Counter[str]) -> list[tuple[str, int]]:
    # Counter.most_common leaves equals in the order of arrival.
    return sorted(names.items(), key=lambda item: (-item[1], item[0]))[:MAX_IMPORT_ROWS]


def _problems(findings: list[Finding]) -> list[str]:
    rows = [
        [_code(finding["path"]), outline["status"].replace("_", " "), outline["problem"]]
        for finding in findings
        if (outline := finding["outline"])["status"] != "parsed"
    ]
    return ["## Files that were not parsed", "", *_table(["file", "status", "problem"], rows)]


def _files(findings: list[Finding]) -> list[str]:
    columns = ["file", "agent", "lines", "classes", "functions", "highest complexity", "imports"]
    return ["## Files", "", *_table(columns, [_file_row(finding) for finding in findings])]


def _file_row(finding: Finding) -> list[str]:
    outline, measures = finding["outline"], finding["measures"]
    highest = measures["most_complex"][0]["complexity"] if measures else 0
    names = _count_names(finding["imports"])
    numbers = (outline["lines"], outline["classes"], outline["functions"], highest, names)
    return [_code(finding["path"]), _code(finding["agent"]), *(str(number) for number in numbers)]


def _count_names(imports: Imports | None) -> int:
    if imports is None:
        return 0
    from_source = len(imports["own_package"]) + len(imports["same_source"])
    return from_source + len(imports["standard_library"]) + len(imports["third_party"])


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows]
    if not lines:
        return ["None."]
    return [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns), *lines]


def _code(name: str) -> str:
    # Else markdown takes the underscores of __init__ for emphasis.
    return f"`{name}`"


def _listed(paths: list[str]) -> str:
    return f" ({', '.join(paths[:10])})" if paths else ""


def _ratio(total: int, count: int) -> str:
    return f"{total / count:.1f}" if count else "0.0"
