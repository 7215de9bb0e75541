"""Scopes of a behaviour that were cut off: what was kept by then, and what comes after that in a later entering."""
