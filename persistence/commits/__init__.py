"""What a facet writes with: changes, commits, the transaction they run in."""
