"""The proof of tenure's own store: scenarios with every kind of commit, and what each facet promises across crashes."""

from __future__ import annotations
