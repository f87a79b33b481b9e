"""Searches of a job that rest, each in a file of its own until another process goes on with it.

The files are those of one run, in a folder that only its user can write to and that is removed with
it: nothing that came from elsewhere is unpickled. A file that is gone costs its search a new begin.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gadlib.files.writing import write_bytes
from gadlib.settings.reading import InputError
from gadlib.solver.resting import Rest, Rests


@dataclass
class RestFiles:
    """Where the searches of a job rest, and those that have rested before.

    Attributes:
        files: of each search, whether it is there or not; none where no search rests.
        after: steps after which searches rest; None: they run to their ends.
        begun: the searches that have begun, by their places.
        energy_start: of each search the energy (eV) of its starting point, as far as known.
    """

    files: Sequence[Path]
    after: int | None
    begun: dict[int, Rest] = field(default_factory=dict)
    energy_start: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, file in enumerate(self.files):
            with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
                self.begun[place], energy = pickle.loads(file.read_bytes())
                if energy is not None:
                    self.energy_start[place] = energy

    @property
    def rests(self) -> Rests:
        """The same for a search."""
        return Rests(self.after if self.files else None, self.begun, self._keep)

    def _keep(self, place: int, rest: Rest) -> None:
        content = pickle.dumps((rest, self.energy_start.get(place)))
        with contextlib.suppress(InputError):
            write_bytes(self.files[place], content)
