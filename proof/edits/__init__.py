"""The proof of edits: ``python -m proof.edits`` (docs/testing.md)."""
