"""Looking after a store: look, inspect, explain, verify, prune, back up."""
