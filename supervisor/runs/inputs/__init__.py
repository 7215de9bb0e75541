"""The inputs of a run: its batch, and each of them."""
