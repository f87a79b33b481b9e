"""What looking for the saddle of a reaction has cost: ends, images, searches, the way downhill."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gadlib.paths.ends import Ends
from gadlib.screening.records import Record

_OF_SEARCH = ("n_gradient", "n_hessian", "elapsed_s", "calculator_s", "steps")
_DOWNHILL = ("n_path_gradient", "n_path_hessian")


@dataclass(frozen=True)
class Spent:
    """The cost until now, by the names that a record has for it."""

    n_end: int = 0
    n_image: int = 0
    n_gradient: int = 0
    n_hessian: int = 0
    n_path_gradient: int = 0
    n_path_hessian: int = 0
    elapsed_s: float = 0.0
    calculator_s: float = 0.0
    steps: int = 0

    def of_ends(self, ends: Ends) -> Spent:
        """With what the ends cost."""
        more = replace(self, n_end=self.n_end + ends.n_gradient)
        return replace(
            more,
            n_gradient=self.n_gradient + ends.n_gradient,
            n_hessian=self.n_hessian + ends.n_hessian,
        )

    def of_images(self, n: int) -> Spent:
        """With so many gradients of images."""
        return replace(self, n_image=self.n_image + n, n_gradient=self.n_gradient + n)

    def of_search(self, record: Record) -> Spent:
        """With what a search cost."""
        return self._with(record, _OF_SEARCH)

    def downhill(self, record: Record) -> Spent:
        """With what the way downhill cost."""
        return self._with(record, _DOWNHILL)

    def _with(self, record: Record, names: tuple[str, ...]) -> Spent:
        return replace(self, **{n: getattr(self, n) + getattr(record, n) for n in names})

    def told(self, record: Record) -> Record:
        """The record with all of the cost."""
        return replace(record, n_energy=self.n_gradient, **self.__dict__)
