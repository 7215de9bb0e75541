"""The record of a run: what is asked of it, how a run enters again by it, and what its end decides."""
