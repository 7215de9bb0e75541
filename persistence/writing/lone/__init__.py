"""Commits that are groups by themselves, and go from their caller's thread to the one that writes."""
