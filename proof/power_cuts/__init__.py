"""Scenarios under power cuts and I/O faults, and what must hold after each."""
