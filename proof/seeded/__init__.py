"""What proofs share that play seeds: cases on virtual time, and hosts that live and die on one computer."""
