"""Promotion: a store moves to another place, on another engine, and is closed where it was."""
