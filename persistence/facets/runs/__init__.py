"""Runs, their steps and sends, and dead letters."""
