"""Output: what runs emit, on its way to the disk and to those who follow it."""
