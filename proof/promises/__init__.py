"""What each facet promises across crashes, checked against every row."""
