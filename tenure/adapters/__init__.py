"""Adapters: tenure's store where another framework asks for a store. Each needs the extra with its name."""
