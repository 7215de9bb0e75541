"""Runs that wait: how long all of one has done so, and when it is put aside."""
