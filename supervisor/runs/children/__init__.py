"""What a run has to do with its children."""
