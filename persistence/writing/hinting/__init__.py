"""Hints: that other hosts may look at the store at once."""
