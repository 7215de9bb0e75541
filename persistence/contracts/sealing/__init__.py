"""What is done with a sealed store as a whole."""
