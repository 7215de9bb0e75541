"""Thin verbs over the facets, with the names that the systems before had."""
