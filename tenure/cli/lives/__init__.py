"""Commands for the lives of runtimes: of one, or of all that a selector chooses."""
