"""What is asked of a server: where the store stands, and what it keeps of what it acknowledges."""
