"""The top floor: who lives, who may write, who restarts, what recovery does."""
