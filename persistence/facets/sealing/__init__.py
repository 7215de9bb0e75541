"""What a store says of the codec that seals it, and the rows that are sealed again."""
