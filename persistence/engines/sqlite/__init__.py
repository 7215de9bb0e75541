"""SQLite through APSW: the engine, its files, its schema, its errors."""
