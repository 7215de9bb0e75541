"""What the example's tools promise about source code, whole, broken or gone."""

from __future__ import annotations

import json
import random
import sysconfig
from pathlib import Path

import pytest

from examples.code_reading.findings import Finding, Imports, Measures, Outline
from examples.code_reading.options import read_options
from examples.code_reading.report import write_report
from examples.code_reading.sources import SourceFile, agent_of, find_files
from examples.code_reading.tools import (
    MAX_NOTABLE_FUNCTIONS,
    MAX_SOURCE_BYTES,
    SourceChanged,
    Toolbox,
    plan,
)

# What is read may hold doubtful literals; the host silences these warnings for its process.
pytestmark = [
    pytest.mark.filterwarnings("ignore::SyntaxWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


def write(root: Path, path: str, text: str | bytes) -> SourceFile:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text.encode() if isinstance(text, str) else text)
    return next(file for file in find_files(root) if file.path == path)


def read(file: SourceFile) -> Finding:
    tools = Toolbox(file.root)
    outline = tools.parse(file.path, file.digest)
    chosen = plan(outline)
    return Finding(
        path=file.path,
        agent=file.agent,
        outline=outline,
        measures=tools.measure(file.path, file.digest) if "measure" in chosen else None,
        imports=tools.resolve(file.path, file.digest) if "resolve" in chosen else None,
    )


def measures_of(root: Path, text: str) -> Measures:
    measures = read(write(root, "module.py", text))["measures"]
    assert measures is not None
    return measures


def imports_of(root: Path, path: str, text: str) -> Imports:
    imports = read(write(root, path, text))["imports"]
    assert imports is not None
    return imports


# --- Sources


def test_files_are_found_sorted_and_what_is_installed_or_hidden_is_left_out(tmp_path: Path) -> None:
    for path in (
        "z.py",
        "package/a.py",
        "package/sub/b.py",
        "package/note.txt",
        "site-packages/c.py",
        ".hidden/d.py",
        "package/__pycache__/e.py",
        "environment/pyvenv.cfg",
        "environment/f.py",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert [file.path for file in find_files(tmp_path)] == [
        "package/a.py",
        "package/sub/b.py",
        "z.py",
    ]


def test_each_folder_and_each_top_level_module_has_one_agent() -> None:
    assert agent_of("package/a.py") == agent_of("package/b.py") == "package:package"
    assert agent_of("package/sub/a.py") == "package:package/sub"
    assert agent_of("package.py") == "module:package"


def test_an_agent_of_a_very_deep_folder_still_has_a_name_of_its_own_that_fits() -> None:
    deep = "folder/" * 60
    one, other = agent_of(f"{deep}a/x.py"), agent_of(f"{deep}b/x.py")
    assert one != other
    assert max(len(one), len(other)) <= 200


def test_a_broken_link_is_found_and_its_outline_says_that_it_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    (file,) = find_files(tmp_path)
    assert file.size == 0
    assert read(file)["outline"]["status"] == "unreadable"


# --- Tools


def test_an_empty_file_is_parsed_and_needs_no_further_tool(tmp_path: Path) -> None:
    finding = read(write(tmp_path, "empty.py", ""))
    assert finding["outline"] == Outline(
        status="parsed", problem="", lines=0, functions=0, classes=0, imports=0, documented=False
    )
    assert (finding["measures"], finding["imports"]) == (None, None)


def test_the_last_line_counts_with_and_without_its_newline(tmp_path: Path) -> None:
    assert read(write(tmp_path, "one.py", "a = 1\nb = 2"))["outline"]["lines"] == 2
    assert read(write(tmp_path, "two.py", "a = 1\nb = 2\n"))["outline"]["lines"] == 2


@pytest.mark.parametrize(
    "text",
    [
        b"print 'two'\n",
        b"# coding: unheard-of\n",
        b"name = '\xf6'\n",
        b"nul = '\0'\n",
        b"(" * 100_000,
        b"-" * 100_000 + b"1",
        b"if True:\n",
    ],
    ids=["python2", "unknown-coding", "no-utf8", "nul", "parentheses", "minuses", "unfinished"],
)
def test_what_does_not_parse_is_reported_and_names_no_folder(tmp_path: Path, text: bytes) -> None:
    outline = read(write(tmp_path, "broken.py", text))["outline"]
    assert outline["status"] == "unparsable"
    assert outline["problem"]
    assert str(tmp_path) not in outline["problem"]
    assert "\n" not in outline["problem"]


def test_a_file_that_is_too_large_is_reported_and_not_parsed(tmp_path: Path) -> None:
    large = write(tmp_path, "large.py", b"#" * (MAX_SOURCE_BYTES + 1))
    assert read(large)["outline"]["status"] == "too_large"


def test_a_file_that_changed_since_it_was_found_is_reported(tmp_path: Path) -> None:
    file = write(tmp_path, "module.py", "a = 1\n")
    (tmp_path / "module.py").write_text("a = 2\n")
    assert read(file)["outline"]["status"] == "changed"


def test_a_tool_called_by_a_replay_parses_the_file_again(tmp_path: Path) -> None:
    file = write(tmp_path, "module.py", "import os\n\ndef f(a): return a\n")
    expected = read(file)
    assert Toolbox(file.root).measure(file.path, file.digest) == expected["measures"]
    assert Toolbox(file.root).resolve(file.path, file.digest) == expected["imports"]


def test_a_tool_called_by_a_replay_refuses_a_file_that_changed(tmp_path: Path) -> None:
    file = write(tmp_path, "module.py", "def f(): pass\n")
    (tmp_path / "module.py").write_text("def g(): pass\n")
    with pytest.raises(SourceChanged):
        Toolbox(file.root).measure(file.path, file.digest)


def test_functions_are_measured_with_arguments_docstrings_and_qualified_names(
    tmp_path: Path,
) -> None:
    measures = measures_of(
        tmp_path,
        "def plain(): pass\n"
        "class Box:\n"
        "    async def lift(self, a, /, b, *rest, c, **more):\n"
        "        '''Lift it.'''\n"
        "        def inner():\n"
        "            return 1\n"
        "        return inner\n",
    )
    assert (measures["functions"], measures["documented"]) == (3, 1)
    assert measures["arguments"] == 6
    assert measures["longest"][0] == {
        "name": "Box.lift",
        "line": 3,
        "lines": 5,
        "arguments": 6,
        "complexity": 1,
    }
    assert {function["name"] for function in measures["longest"]} == {
        "plain",
        "Box.lift",
        "Box.lift.inner",
    }


def test_complexity_counts_each_branching_statement_once(tmp_path: Path) -> None:
    measures = measures_of(
        tmp_path,
        "def f(x):\n"
        "    if x: pass\n"  # 2
        "    elif not x: pass\n"  # 3
        "    else:\n"
        "        for _ in x:\n"  # 4
        "            while x: pass\n"  # 5
        "    with x:\n"
        "        try: pass\n"
        "        except OSError: pass\n"  # 6
        "        except ValueError: pass\n"  # 7
        "        finally:\n"
        "            if x: pass\n"  # 8
        "    match x:\n"
        "        case 1: pass\n"  # 9
        "        case _:\n"  # 10
        "            if x: pass\n"  # 11
        "    def inner():\n"
        "        if x: pass\n",
    )
    assert [(each["name"], each["complexity"]) for each in measures["most_complex"]] == [
        ("f", 11),
        ("f.inner", 2),
    ]


def test_a_chain_of_elif_longer_than_the_recursion_limit_is_measured(tmp_path: Path) -> None:
    branches = "".join(f"    elif x == {number}: pass\n" for number in range(1500))
    finding = read(write(tmp_path, "chain.py", f"def f(x):\n    if not x: pass\n{branches}"))
    # The parser's own stack is the interpreter's business; the walk must hold what it gives.
    if finding["measures"] is not None:
        assert finding["measures"]["complexity"] == 1502
    else:
        assert finding["outline"]["status"] == "unparsable"


def test_only_a_few_functions_are_told_by_name(tmp_path: Path) -> None:
    measures = measures_of(tmp_path, "".join(f"def f{n}(): pass\n" for n in range(50)))
    assert measures["functions"] == 50
    assert len(measures["longest"]) == len(measures["most_complex"]) == MAX_NOTABLE_FUNCTIONS


def test_imports_are_resolved_to_own_package_library_same_source_and_third_party(
    tmp_path: Path,
) -> None:
    write(tmp_path, "neighbour.py", "")
    write(tmp_path, "src/installed/__init__.py", "")
    imports = imports_of(
        tmp_path,
        "package/sub/module.py",
        "import os.path, neighbour, installed, requests.adapters\n"
        "from package import other\n"
        "from . import one\n"
        "from ..two import three\n"
        "try:\n"
        "    import json\n"
        "except ImportError:\n"
        "    def late():\n"
        "        import attrs\n",
    )
    assert imports == Imports(
        own_package=[".", "..two", "package"],
        standard_library=["json", "os"],
        same_source=["installed", "neighbour"],
        third_party=["attrs", "requests"],
    )


@pytest.mark.turns(4)
@pytest.mark.slow
def test_findings_on_the_standard_library_are_small_json_and_nothing_crashes() -> None:
    # Every tenth file: all of them take six seconds, and the example's own test reads them.
    files = find_files(STANDARD_LIBRARY)[::10]
    assert len(files) > 50
    for file in files:
        finding = read(file)
        stored = json.dumps(finding)
        assert json.loads(stored) == finding
        assert len(stored) < 16 * 1024
        assert str(STANDARD_LIBRARY) not in stored


# --- Report


def findings_of(root: Path) -> list[Finding]:
    write(root, "package/a.py", "import os\n\ndef f(x):\n    if x: pass\n")
    write(root, "package/__init__.py", "")
    write(root, "b|c.py", "import os, requests\n")
    write(root, "broken.py", "print 'two'\n")
    return [read(file) for file in find_files(root)]


def test_the_report_is_the_same_bytes_whatever_the_order_of_arrival(tmp_path: Path) -> None:
    findings = findings_of(tmp_path)
    paths = [finding["path"] for finding in findings]
    expected = write_report(findings, paths)
    order = random.Random(7)
    for _ in range(10):
        order.shuffle(findings)
        order.shuffle(paths)
        assert write_report(findings, paths) == expected
    assert str(tmp_path) not in expected


def test_the_report_tells_what_was_not_parsed_and_keeps_its_tables_whole(tmp_path: Path) -> None:
    findings = findings_of(tmp_path)
    report = write_report(findings, [finding["path"] for finding in findings])
    assert "| `broken.py` | unparsable | line 1: " in report
    assert "`b&#124;c.py`" in report
    assert "- files counted twice: 0\n- files without a finding: 0\n" in report


def test_the_report_hides_neither_a_finding_that_came_twice_nor_one_that_is_missing(
    tmp_path: Path,
) -> None:
    findings = findings_of(tmp_path)
    paths = [finding["path"] for finding in findings]
    report = write_report([*findings[1:], findings[1]], paths)
    assert f"- files counted twice: 1 ({paths[1]})\n" in report
    assert f"- files without a finding: 1 ({paths[0]})\n" in report


def test_the_report_leaves_out_files_that_were_not_asked_for(tmp_path: Path) -> None:
    findings = findings_of(tmp_path)
    wanted = [finding["path"] for finding in findings if finding["path"] != "broken.py"]
    assert "broken.py" not in write_report(findings, wanted)


def test_a_report_on_nothing_has_no_broken_tables() -> None:
    report = write_report([], [])
    assert "- files asked for: 0\n" in report
    assert "None." in report


# --- Command line


def test_the_report_stands_beside_the_store_unless_it_is_named(tmp_path: Path) -> None:
    options = read_options(["--db", str(tmp_path / "a.db")])
    assert options.report == options.db.with_suffix(".report.md")
    assert options.source == STANDARD_LIBRARY


def test_without_a_store_each_start_gets_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, other = read_options([]).db, read_options([]).db
    assert one.parent != other.parent
    assert one.parent.parent == tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "0"], "0 is not a whole number from 1"),
        (["--agents", "many"], "many is not a whole number from 1"),
        (["--kill-after", "-1"], "-1 is not a whole number from 1"),
        (["--source", "nowhere"], "nowhere is not a folder"),
        (["--db", "."], ". is a folder"),
        (["--db", "nowhere/a.db"], "the folder of nowhere/a.db does not exist"),
        (["--db", "a", "--report", "a"], "--db and --report are the same file"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        read_options(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.rstrip().endswith(message)
