"""Commits of one group side by side: which may, and what keeps each to its own rows."""
