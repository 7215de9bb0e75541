"""Who hears what came of a group, and in which order."""
