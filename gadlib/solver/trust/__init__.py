"""The trust-region step rule that ends at true, bound saddles: phases, curvature, wall."""
