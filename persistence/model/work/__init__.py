"""Work that is not a run: queued batches, operations, executions, and what is attached to it."""
