"""What a conversation is: its graph, its digests, its envelope."""
