"""Copies of a SQLite store: backups, and the stores that are made of them."""
