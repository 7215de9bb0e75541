"""Commits of different runtimes side by side: their lanes, and the same statement of many of them as one."""
