"""The proof of a fleet: hosts as processes on a real server that stops, is cut off and comes back."""
