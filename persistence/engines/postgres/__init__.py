"""PostgreSQL through psycopg's libpq: the engine, its schema, its errors. The extra ``postgres`` brings the driver."""
