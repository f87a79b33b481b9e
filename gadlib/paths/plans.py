"""How much is done for a reaction whose saddle is looked for."""

from __future__ import annotations

from dataclasses import dataclass

USUAL_BUDGET = 1000
"""Gradients for a reaction, where no other budget is given."""

BUDGET = 300
"""The same with a cheap potential beside one that costs much."""


@dataclass(frozen=True)
class Plan:
    """How much is done for a reaction.

    Attributes:
        n_images: between the ends.
        budget: gradients for ends, images and searches, with which these stop: one is begun in any
            case, and a step is made to its end; None for as many as the solver can do with.
        relax_ends: `never`, `far` or `always`, as `prepare_ends` has it.
        interpolation: a name of `INTERPOLATIONS`.
        has_guess: whether each start's own positions are a guess of the saddle, to begin with.
    """

    n_images: int = 7
    budget: int | None = None
    relax_ends: str = "never"
    interpolation: str = "idpp"
    has_guess: bool = False

    def most(self, is_costly: bool) -> int:
        """Gradients at most, where the potential is one to be asked little or any other."""
        usual = BUDGET if is_costly else USUAL_BUDGET
        return usual if self.budget is None else self.budget
