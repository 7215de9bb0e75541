"""What the benchmarks share: the workload, its raw counterpart, and how times become one JSON line."""
