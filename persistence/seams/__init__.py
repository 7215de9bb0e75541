"""What comes from outside: threads, clocks, files, locks, limits."""
