"""What is promised of inputs, runs and what they lead to."""
