"""What runs do, and what each version of their behaviour does otherwise: drawn from the seed, and the same in every host."""

from __future__ import annotations

import random
from typing import Final

REPEATS: Final = ("freely", "keyed", "never")
OUTSIDE: Final = ("keyed", "never")
"""What must not be done twice."""

TOOL: Final = "tool"
"""The step of the first version; see `renamed`."""

EDITED: Final = 0.6
"""Share of the scripts that a version changes."""

EDITS: Final = ("rename", "insert", "remove", "swap", "sleep", "checkpoint")

Word = tuple[str, str, str]
"""What to do (`step`, `sleep` or `checkpoint`), how a step repeats, and what the world knows it by."""

Script = tuple[tuple[str, Word], ...]
"""Words, each with the name of its step."""


def renamed(version: str) -> str:
    """How a version names the step, where it renames it."""
    return f"{TOOL} of {version}"


def input_of(work: str) -> str:
    """The name of the input whose script asks for this work."""
    return ".".join(work.split(".")[:2])


def script_of(seed: int, name: str, version: str) -> Script:
    """What a version does for an input of this name."""
    script = _draw(random.Random(f"{seed}/{name}"), name)
    if version == "1":
        return script
    source = random.Random(f"{seed}/{name}/{version}")
    return _edited(source, list(script), name, version) if source.random() < EDITED else script


def _draw(source: random.Random, name: str) -> Script:
    words: list[tuple[str, Word]] = []
    for at in range(source.randrange(2, 7)):
        kind = source.choices(("step", "sleep", "checkpoint"), (6, 1, 1))[0]
        words.append((TOOL, (kind, source.choice(REPEATS), f"{name}.{at}")))
    return tuple(words)


def _edited(source: random.Random, words: list[tuple[str, Word]], name: str, version: str) -> Script:
    at = source.randrange(len(words))
    match source.choice(EDITS):
        case "rename":
            words = [(renamed(version), word) for _, word in words]
        case "insert":
            words.insert(at, (TOOL, ("step", source.choice(REPEATS), f"{name}.new in {version}")))
        case "remove":
            del words[at]
        case "swap":
            other = source.randrange(len(words))
            words[at], words[other] = words[other], words[at]
        case kind:
            words.insert(at, (TOOL, (kind, "freely", f"{name}.new in {version}")))
    return tuple(words)
