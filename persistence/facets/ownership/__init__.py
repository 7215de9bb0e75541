"""Who owns a runtime, its lifecycle, and what other hosts ask of its owner."""
