"""Steps of a run: what is recorded of them, how their functions are called, how long one may take."""
