"""The proof of re-entry: ``python -m proof.reentry`` (docs/testing.md)."""
