"""Sessions as graphs: nodes and branches, checkpoints, usage, turns, and the one commit that writes them."""
