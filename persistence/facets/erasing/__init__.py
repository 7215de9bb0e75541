"""Erasing: everything that a runtime has ever held goes, and what is left of it is its tombstone."""
