"""Sessions as nodes, and snapshots of their active path."""
