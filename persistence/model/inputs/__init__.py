"""An input as stored: its phases, its policy, its state."""
