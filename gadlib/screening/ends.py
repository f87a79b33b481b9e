"""Where bound saddles lead: each followed downhill both ways, its ends beside those that are known.

A search asks (`gadlib.solver.asking`), and a record keeps what was answered of its last point. A
saddle that a search finds again is not followed again. What that costs is counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float

from gadlib.evaluation import Calculator
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.endpoints import Connection, Ends, compare_ends
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record
from gadlib.settings.criteria import CRITERIA, SAME_SADDLE
from gadlib.solver.criteria import Verdict
from gadlib.solver.delta.memory import seen_by
from gadlib.solver.downhill import irc
from gadlib.solver.state import State
from gadlib.systems.rows import take

UNKNOWN = "Its reactant and product are not known, so that no saddle of it can be called intended."


@dataclass(frozen=True)
class Followed:
    """A saddle of a search, and where it leads.

    Attributes:
        positions: of the saddle, in A.
        verdict: what it joins; `message` the same in a sentence.
    """

    positions: Float[np.ndarray, "n 3"]
    verdict: Connection
    message: str

    @property
    def is_intended(self) -> bool | None:
        """Whether it joins the known ends; None where it could not be followed."""
        return None if self.verdict == Connection.FAILED else self.verdict == Connection.INTENDED


@dataclass
class Downhill:
    """Who answers whether saddles are intended: by their paths, of searches from these starts.

    Attributes:
        calculator: the potential.
        starts: by whose places searches are known.
        found: the saddles of each search that were followed.
        n_gradient, n_hessian: what that has cost each.
    """

    calculator: Calculator
    starts: Sequence[Start]
    found: dict[int, list[Followed]] = field(default_factory=dict)
    n_gradient: dict[int, int] = field(default_factory=dict)
    n_hessian: dict[int, int] = field(default_factory=dict)

    def __call__(self, state: State) -> list[bool]:
        """Whether each system is at a saddle that joins the reactant and the product."""
        places = [state.batch.system(i)[1] for i in range(len(state.batch))]
        indices = state.index.tolist()
        new = [
            i
            for i, (index, place) in enumerate(zip(indices, places, strict=True))
            if self.starts[index].ends is not None and self._known(index, place) is None
        ]
        for i, path in zip(new, self._paths(state, new), strict=True):
            self._keep(indices[i], places[i], path)
        answers = (self._known(i, place) for i, place in zip(indices, places, strict=True))
        return [answer is not None and answer.is_intended is True for answer in answers]

    def see(self, verdict: Verdict, rows: Sequence[int]) -> None:
        """Follow those of the rows that are bound, and were not followed yet."""
        bound = verdict.meets("bound").tolist()
        if chosen := [row for row in rows if bound[row]]:
            places = torch.tensor(chosen, device=verdict.state.index.device)
            self(take(verdict.state, places))

    def told(self, record: Record, index: int) -> Record:
        """The record with what its last point joins, as far as that was asked, and the cost.

        Args:
            record: of the search.
            index: of its start.
        """
        start, met = self.starts[index], record.criteria.get("bound")
        spent = {
            "n_path_gradient": self.n_gradient.get(index, 0),
            "n_path_hessian": self.n_hessian.get(index, 0),
        }
        answer = self._known(index, np.array(record.positions)) if met else None
        is_intended = met and answer and answer.is_intended
        message, verdict = "", ""
        if answer is not None:
            message, verdict = answer.message, str(answer.verdict)
        elif met and start.ends is None:
            message, verdict = UNKNOWN, str(Connection.NO_REFERENCE)
        return replace(
            record,
            criteria={**record.criteria, "intended": is_intended},
            message=f"{record.message} {message}".strip(),
            verdict=verdict,
            **spent,
        )

    def _known(self, index: int, place: Float[np.ndarray, "n 3"]) -> Followed | None:
        """The saddle there, if it was followed."""
        numbers = self.starts[index].atomic_numbers
        for each in self.found.get(index, ()):
            if rmsd(numbers, place, each.positions) < SAME_SADDLE:
                return each
        return None

    def _paths(self, state: State, rows: Sequence[int]) -> list[irc.Path | str]:
        """The path of each row, or why there is none; what fails with one costs no other."""
        if not rows:
            return []
        part = take(state, torch.tensor(rows, device=state.index.device))
        try:
            return [*irc.follow(self.calculator, part.batch, known=seen_by(part))]
        except Exception as error:  # whatever fails is a sentence about one saddle
            if len(rows) == 1:
                return [f"{type(error).__name__}: {error}"]
            return [path for row in rows for path in self._paths(state, [row])]

    def _keep(self, index: int, place: Float[np.ndarray, "n 3"], path: irc.Path | str) -> None:
        """The saddle there with what its path says, and what that cost."""
        if not isinstance(path, str):
            for spent, n in zip((self.n_gradient, self.n_hessian), path.calls, strict=True):
                spent[index] = spent.get(index, 0) + n
        if isinstance(path, str) or path.reasons:
            reason = path if isinstance(path, str) else path.reasons[0]
            message = f"It could not be followed downhill: {reason}"
            told = Followed(place, Connection.FAILED, message)
        else:
            start = self.starts[index]
            assert start.ends is not None
            ends = [leg.positions[-1].cpu().numpy() for leg in path.legs]
            joined = compare_ends(start.atomic_numbers, ends, Ends(*start.ends))
            told = Followed(place, joined.verdict, joined.message)
        self.found.setdefault(index, []).append(told)


def downhill_of(
    calculator: Calculator, starts: Sequence[Start], criterion: str, *, check_ends: bool
) -> Downhill | None:
    """Who is asked where saddles lead; None where the criterion and `check_ends` ask nobody."""
    if not (check_ends or CRITERIA[criterion].is_asked):
        return None
    return Downhill(calculator, starts)


def mark_without_ends(criterion: str, starts: Sequence[Start]) -> list[Start]:
    """The starts; those without known ends say so where the criterion asks for these."""
    if not CRITERIA[criterion].is_asked:
        return [*starts]
    return [
        start if start.ends is not None or start.problem else replace(start, problem=UNKNOWN)
        for start in starts
    ]
