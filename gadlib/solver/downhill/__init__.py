"""The way down from a saddle to the minima it joins: the reaction coordinate, relaxation."""
