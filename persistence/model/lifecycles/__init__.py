"""The lifecycle of a runtime: its table, and the record of it."""
