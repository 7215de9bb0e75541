"""Workers of queued work: which session is next, the claim while its work runs, and what follows a failure."""
