"""Queued work, and who waits for a claim on it."""
