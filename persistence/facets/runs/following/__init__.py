"""What follows abandoned batches: the runs over them, and what these see."""
