"""One run: the behaviour, what it holds, its record, its end."""
