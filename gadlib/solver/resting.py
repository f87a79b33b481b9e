"""Searches that rest after so many moves, and go on later as if they had not.

Who tunes a solver gives many searches few moves first, and goes on with those that are worth it. A
rest holds all that a search knows; where it is kept meanwhile is its caller's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch

from gadlib.solver.state import State
from gadlib.systems.rows import narrow, take, widen


@dataclass(frozen=True)
class Rest:
    """One search that rests.

    Attributes:
        state: where it is, of one system without padding.
        kept: the strict saddle that it met on the way (`put_back`); None where it met none.
    """

    state: State
    kept: State | None

    @classmethod
    def of(cls, state: State, row: int, kept: State | None) -> Rest:
        """That of a row of a batch."""
        one = take(state, torch.tensor([row], device=state.index.device))
        width = int(one.batch.n_atoms[0])
        return cls(narrow(one, width), None if kept is None else narrow(kept, width))

    def go_on(self, place: int, width: int) -> Rest:
        """The rest as a system of a batch that has this place and width."""
        kept = None if self.kept is None else _fitted(self.kept, place, width)
        return Rest(_fitted(self.state, place, width), kept)


def _fitted(state: State, place: int, width: int) -> State:
    eigenvalues = state.spectrum.eigenvalues
    wide = widen(state, width)
    padded = torch.full_like(wide.spectrum.eigenvalues, torch.inf)  # no vibrations, in any order
    padded[:, : eigenvalues.shape[1]] = eigenvalues
    spectrum = replace(wide.spectrum, eigenvalues=padded)
    return replace(wide, spectrum=spectrum, index=torch.full_like(state.index, place))


def _forget(place: int, rest: Rest) -> None:
    """Nobody goes on with it."""


@dataclass(frozen=True)
class Rests:
    """After how many moves searches rest, and those that go on from a rest.

    Attributes:
        after: moves in all, of which those before a rest are some; None: they run to their ends.
        begun: searches that have begun, by their place in the batch.
        on_rest: called with the place of each search that rests, and all that it needs to go on.
    """

    after: int | None = None
    begun: Mapping[int, Rest] = field(default_factory=dict)
    on_rest: Callable[[int, Rest], None] = _forget
