"""The facets: what can be written, each with its SQL beside it."""
