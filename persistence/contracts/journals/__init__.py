"""Journals: append-only streams of events, logs of typed events, and following them."""
