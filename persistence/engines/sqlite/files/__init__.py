"""The files of a SQLite store: their names, what they lie on, and what proves that a host lives."""
