"""What a SQLite store takes from the system: files outside SQLite, and locks on them."""
