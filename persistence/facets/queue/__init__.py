"""Queued work: batches of sessions, and the claims on them."""
