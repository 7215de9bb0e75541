"""Execution state: snapshots and working memory of executions."""
