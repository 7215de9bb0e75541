"""Hosts in processes that are killed or lose their files, and what their parents hold against them."""
