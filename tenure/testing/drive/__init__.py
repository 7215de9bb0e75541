"""The drive of a machine: its files, what a crash leaves of them, and what can fail."""
