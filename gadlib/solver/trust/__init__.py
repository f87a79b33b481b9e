"""The trust-region step rule that ends at true, bound saddles: tries, curvature, wall."""
