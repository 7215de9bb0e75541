"""Values, tables and decisions: pure, without I/O."""
