"""What type checkers make of a user's behaviour: both are run over it, as a user runs them."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tenure.asyncio
import tenure.sync

ROOT = Path(__file__).parents[2]

USER_CODE = """\
from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import tenure
import tenure.asyncio


@dataclass
class Page:
    title: str


def count(text: str) -> int:
    return len(text)


def charge(cents: int, *, key: str) -> str:
    return key


async def fetch(url: str) -> Page:
    return Page(url)


@tenure.asyncio.on_loop
async def ask(question: str) -> list[str]:
    return [question]


async def look(city: str) -> dict[str, Any]:
    return {"city": city}


async def number() -> int:
    return 1


async def text() -> str:
    return "a"


async def order(run: tenure.Run) -> None:
    length = await run.step("count", count, "a", repeat="freely")
    reveal_type(length)  # int
    page = await run.step("fetch", fetch, "a", repeat=tenure.Repeat.KEYED, attempts=3, timeout_s=2.5)
    reveal_type(page)  # Page
    key = await run.step("charge", charge, 100, repeat="keyed", call="call_7")
    reveal_type(key)  # str
    answers = await run.step("ask", ask, "a", repeat="never", on_timeout="failed")
    reveal_type(answers)  # list[str]
    bound = await run.step("bound", partial(fetch, "a"), repeat="freely")
    reveal_type(bound)  # Page

    weather = await run.step("look", look, "Kiel", repeat="freely")
    reveal_type(weather)  # dict[str, Any]

    pages = await run.map("fetch", fetch, ["a", "b"], repeat="freely", limit=2)
    reveal_type(pages)  # list[Page]
    lengths = await run.map("count", count, ["a", "b"], repeat="freely")
    reveal_type(lengths)  # list[int]
    both = await run.gather(number, text)
    reveal_type(both)  # tuple[int, str]
    five = await run.gather(number, text, number, text, partial(fetch, "a"))
    reveal_type(five)  # tuple[int, str, int, str, Page]
    many = await run.gather(*[number] * 7)
    reveal_type(many)  # tuple[int, ...]
    seven = await run.gather(number, number, number, number, number, number, number)
    reveal_type(seven)  # tuple[int, ...]
    none = await run.gather()
    reveal_type(none)  # tuple[()]
    seen, counted = await run.gather(partial(look, "Kiel"), number)
    reveal_type(seen)  # dict[str, Any]
    reveal_type(counted)  # int
    winner = await run.first(number, number)
    reveal_type(winner)  # int

    wrong: str = length  # error
    page.headline  # error
    run.step("count", count, "a")  # error: no repeat
    await run.step("count", count, "a", repeat="freely", tries=3)  # error
    await run.step("count", count, "a", repeat="freely", on_timeout="maybe")  # error
    await run.step("count", "count", "a", repeat="freely")  # error
    await run.gather(number())  # error
    await run.map("count", count, 7, repeat="freely")  # error


async def on_the_loop(run: tenure.asyncio.Run) -> None:
    seen, counted = await run.gather(lambda: run.step("look", look, "Kiel", repeat="freely"), number)
    reveal_type(seen)  # dict[str, Any]
    reveal_type(counted)  # int
    child = await run.spawn(None, "order")
    reveal_type(child)  # LogicalRuntimeId
    run.send(child, "a")
    await run.emit(await run.ask(child, "a"))


def not_async(run: tenure.Run) -> None: ...


kinds = {"order": tenure.Behaviour(order, payload=Page, version="2", encode=str, decode=lambda cls, value: cls(value))}
tenure.Behaviour(not_async)  # error
tenure.Behaviour(order, extra="allow")  # error
"""


def expected() -> dict[int, str]:
    """What is said of each line: the type that is revealed, or that it is an error."""
    found: dict[int, str] = {}
    for number, line in enumerate(USER_CODE.splitlines(), 1):
        note = line.partition("  # ")[2]
        if note:
            found[number] = "error" if note.startswith("error") else note
    return found


def verbs_of_fronts() -> str:
    """Code that has each verb of each class for a program on asyncio, or without a loop."""
    lines = ["import tenure.asyncio", "import tenure.sync"]
    for module in (tenure.asyncio, tenure.sync):
        for name, each in inspect.getmembers(module, inspect.isclass):
            verbs = [verb for verb in dir(each) if not verb.startswith("_")]
            if name in module.__all__ and verbs:
                lines.append(f"def of_{len(lines)}(front: {module.__name__}.{name}) -> None:")
                lines += [f"    front.{verb}" for verb in verbs]
    return "\n".join(lines)


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "user_code.py"
    path.write_text(USER_CODE)
    return path


def run(*command: str) -> str:
    """What a checker prints. It runs in the checkout, so that it is this tenure that it finds."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240).stdout


@pytest.mark.turns(4)
@pytest.mark.slow
def test_mypy_infers_what_steps_return_and_finds_what_is_wrong(user_file: Path, tmp_path: Path) -> None:
    verbs = tmp_path / "verbs.py"
    verbs.write_text(verbs_of_fronts())
    cache = str(tmp_path / "cache")
    checked = run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, str(user_file), str(verbs))

    assert "verbs.py" not in re.sub(r".* Missing type arguments .*", "", checked), checked
    said: dict[int, str] = {}
    for line in checked.splitlines():
        match = re.match(r".*user_code\.py:(\d+): (error|note): (.*)", line)
        if match is None:
            continue
        revealed = re.search(r'Revealed type is "(.*)"', match[3])
        if revealed is not None:
            said[int(match[1])] = re.sub(
                r"\b(builtins|user_code|tenure\.persistence\.model\.values)\.", "", revealed[1]
            )
        elif match[2] == "error":
            said[int(match[1])] = "error"
    assert said == expected(), checked


@pytest.mark.turns(4)
@pytest.mark.slow
def test_pyright_infers_what_steps_return_and_finds_what_is_wrong(user_file: Path) -> None:
    checked = run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(user_file))

    said: dict[int, str] = {}
    found: list[dict[str, Any]] = json.loads(checked)["generalDiagnostics"]
    for each in found:
        revealed = re.search(r'^Type of ".*" is "(.*)"$', each["message"])
        number = each["range"]["start"]["line"] + 1
        if revealed is not None:
            said[number] = revealed[1]
        elif each["severity"] == "error":
            said[number] = "error"
    assert said == expected(), checked
