"""Families of metrics as text, in the exposition format of Prometheus, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .measures import Distribution, Family


def exposition(families: Iterable[Family]) -> str:
    """The text that a scrape reads."""
    lines: list[str] = []
    for family in families:
        lines += [f"# HELP {family.name} {_escaped(family.text)}", f"# TYPE {family.name} {family.kind}"]
        for given, value in family.values.items():
            labels = list(zip(family.labels, given, strict=True))
            if isinstance(value, Distribution):
                for bound, count in value.buckets:
                    lines.append(_line(f"{family.name}_bucket", [*labels, ("le", _number(bound))], count))
                lines.append(_line(f"{family.name}_sum", labels, value.total))
                lines.append(_line(f"{family.name}_count", labels, value.buckets[-1][1]))
            else:
                lines.append(_line(family.name, labels, value))
    return "\n".join([*lines, ""])


def _line(name: str, labels: Sequence[tuple[str, str]], value: float) -> str:
    shown = ",".join([f'{label}="{_quoted(given)}"' for label, given in labels])
    return f"{name}{{{shown}}} {_number(value)}" if shown else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return "+Inf" if value == float("inf") else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    # A kind is any text: what steers a terminal, or cannot be encoded, is escaped as in a Python literal.
    if not text.isprintable():
        text = "".join([each if each.isprintable() else each.encode("unicode_escape").decode() for each in text])
    return _escaped(text).replace('"', r"\"")
