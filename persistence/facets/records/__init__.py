"""Rows that nearly every commit has cached: runtime, run, chain."""
