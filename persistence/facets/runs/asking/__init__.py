"""Asking: what a run asks of another runtime, and the answer that it gets."""
