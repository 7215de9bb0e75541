"""Attachments: files of sessions, and what is known of each."""
