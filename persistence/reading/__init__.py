"""Read views, and the read-only connection of users."""
