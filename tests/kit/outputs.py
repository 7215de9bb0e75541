"""What a reader of an output holds in the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tenure


def heard(entries: Iterable[tenure.OutputEntry]) -> list[Any]:
    """What a reader holds in the end, who drops what it is told to drop."""
    held: list[tenure.OutputEntry] = []
    for entry in entries:
        if entry.kind is tenure.OutputKind.DATA:
            held.append(entry)
        elif entry.kind is tenure.OutputKind.RESTARTED:
            assert entry.drop_after is not None
            held = [
                each
                for each in held
                if each.run_id != entry.run_id
                or each.position <= entry.drop_after
                or entry.place not in ("", each.place)
            ]
    return [entry.value for entry in held]
