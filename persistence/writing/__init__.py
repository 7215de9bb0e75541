"""The writer: commits that wait, groups that share one transaction, the host's row, closing."""
