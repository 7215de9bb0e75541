"""The write-ahead log of a SQLite store: read, judged, written again, kept short."""
