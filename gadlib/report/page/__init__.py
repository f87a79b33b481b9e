"""Results brought together on one page that asks nothing of the network."""
