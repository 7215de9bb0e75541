"""The output of runtimes: what their runs emit, to be followed."""
