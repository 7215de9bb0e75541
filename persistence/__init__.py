"""The ground floor: commits, facets, engines and their SQL."""
