"""Values of the contracts beside those of runs: queued batches, operations, executions, attachments."""
