"""Hosts that have gone without a word, found out by who meets what they left."""
