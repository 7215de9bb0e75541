"""What the simulations of whole hosts are made of."""
