"""The pages about metrics: their table has each metric, their program runs, and each metric has an alert that parses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import trio
import yaml

import tenure
from tenure.persistence.upkeep.numbers import StoreNumbers
from tenure.supervisor.metrics import families_of_store
from tests.architecture.tree import ROOT
from tests.kit.hosting import host, nothing

METRICS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SERIES = ("", "_bucket", "_sum", "_count")
OUTCOMES = {"tenure_step_seconds": set(tenure.StepOutcome)}


async def families(tmp_path: Path) -> dict[str, tenure.Family]:
    async with host(tmp_path / "s.db", {"kind": nothing}) as supervisor:
        supervisor.metrics()
        await trio.sleep(60)
        found = supervisor.metrics().read()
    outside = families_of_store(StoreNumbers(inputs=0, oldest_at=None, hosts=0, held={}), None, None, 0.0)
    return {each.name: each for each in (*outside, *found)}


async def test_the_table_has_each_metric_with_its_type_labels_and_text(autojump_clock: object, tmp_path: Path) -> None:
    rows = re.findall(
        r"^\| `(tenure_\w+)` \| (\w+) \| ([\w, ]*?) ?\| (.*?)(?:; `tenure metrics` alone)?\. \|$", METRICS, re.MULTILINE
    )

    known = await families(tmp_path)

    assert sorted(rows) == sorted(
        (each.name, each.kind, ", ".join(each.labels), each.text.rstrip(".")) for each in known.values()
    )


async def test_the_name_of_a_metric_has_its_unit(autojump_clock: object, tmp_path: Path) -> None:
    for name, family in (await families(tmp_path)).items():
        assert name.endswith("_total") is (family.kind == "counter"), name
        assert name.endswith("_seconds") is family.text.startswith(("Time ", "Age ")), name
        assert name.endswith("_bytes") is family.text.startswith(("Size ", "Bytes ")), name


def rules() -> list[dict[str, Any]]:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", OPERATIONS, re.MULTILINE | re.DOTALL)
    ((group,),) = yaml.safe_load(text).values()
    found: list[dict[str, Any]] = group["rules"]
    return found


async def test_each_metric_has_an_alert_and_each_alert_names_metrics_that_exist(
    autojump_clock: object, tmp_path: Path
) -> None:
    known = await families(tmp_path)
    series = {
        f"{name}{suffix}": name
        for name, family in known.items()
        for suffix in (SERIES[1:] if family.kind == "histogram" else SERIES[:1])
    }
    named: set[str] = set()
    for rule in rules():
        assert rule.keys() == {"alert", "expr", "for", "annotations"}
        assert re.fullmatch(r"\d+[mh]", rule["for"])
        used = re.findall(r"tenure_\w+", rule["expr"])
        assert used, rule
        named |= {series[each] for each in used}
        for metric, label, given in re.findall(r'(tenure_\w+)\{(\w+)="(\w+)"\}', rule["expr"]):
            assert label == "outcome", rule
            assert label in known[series[metric]].labels, rule
            assert given in OUTCOMES[series[metric]], rule
        for labels in re.findall(r"by \(([\w, ]+)\)", rule["expr"]):
            allowed = {label for each in used for label in (*known[series[each]].labels, "le")}
            assert set(labels.split(", ")) <= allowed, rule

    assert named == set(known)


async def test_what_an_alert_hears_of_at_its_first_time_is_there_before(autojump_clock: object, tmp_path: Path) -> None:
    known = await families(tmp_path)

    first = re.findall(r"increase\((\w+)\[\w+\]\)+ > 0\b", "\n".join(rule["expr"] for rule in rules()))

    assert len(first) == 5
    for name in first:
        assert set(known[name].values.values()) == {0}, name  # what appears at 1 has not increased


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(names) == len(set(names))


def test_the_program_of_the_page_prints_what_a_scrape_reads(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", METRICS, re.MULTILINE | re.DOTALL)
    (tmp_path / "agents.py").write_text(program, encoding="utf-8")

    answer = subprocess.run(
        [sys.executable, "agents.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert 'tenure_accept_seconds_count{kind="echo",outcome="accepted"} 1.0' in answer.stdout
