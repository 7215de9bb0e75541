"""What users hold of a runtime, here or on another host."""
