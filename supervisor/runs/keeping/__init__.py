"""What a run writes beside its record: its conversation, its state, its journal, and on which terms it sends."""
