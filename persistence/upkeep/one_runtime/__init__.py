"""One runtime explained to people, without any content: why it does not run, and what it has done."""
