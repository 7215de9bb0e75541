"""Copies that other runtimes have: what an erased runtime has sent to them, what they have sent to it, what it answered.

Their rows belong to the records of other runs, and stay; the content in them is overwritten, with its digests, and the row says
so. That a run may still read is left until that run has finished.
"""

from __future__ import annotations

from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.model.digests import ERASED

from .content import Page


def blank_inputs(tx: Transaction, page: Page) -> None:
    """Inputs that others have from it, with what they answered."""
    for key in page.keys:
        if tx.one("erasing.peer_input", key=key) is None:
            page.left += 1
            continue
        tx.write("erasing.delete_result", key=key)
        tx.write("erasing.delete_payload", key=key)
        went = tx.run("erasing.blank_input", key=key, none=b"", erased=ERASED, now=tx.now)
        page.count("copies", went)


def blank_sends(tx: Transaction, page: Page) -> None:
    """What others record of what they have sent to it."""
    for key in page.keys:
        if tx.one("erasing.peer_send", key=key) is None:
            page.left += 1
            continue
        page.count("copies", tx.run("erasing.blank_send", key=key, none=b"", erased=ERASED))


def blank_asks(tx: Transaction, page: Page) -> None:
    """What it has answered to others, where that stands in their records."""
    for key in page.keys:
        row = tx.one("erasing.peer_ask", key=key)
        if row is None:
            page.left += 1
            continue
        tx.write("erasing.blank_ask", key=key, none=b"", erased=ERASED)
        tx.write("erasing.blank_entry", run=row[0], place=row[1], none=b"", erased=ERASED)
        page.count("copies", 1)
