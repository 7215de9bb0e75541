"""What operators see of a host."""
