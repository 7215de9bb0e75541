"""Journals: streams of events, facts, snapshots, and the older logs beside them."""
