"""What an open looks at first: the path, the library, the version of the schema."""
