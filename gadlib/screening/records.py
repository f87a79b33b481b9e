"""What is kept of a search: one Record per molecule, as JSON that is replaced whole."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from gadlib import __version__
from gadlib.files.reading import read_json
from gadlib.files.shapes import ResultFile, fit, fit_all
from gadlib.settings.reading import InputError, Settings, shown


@dataclass(frozen=True)
class TryRecord:
    """One try of a search that makes several, as `trust` does.

    Attributes:
        phase: where the try ended, a `gadlib.solver.trust.phases.Phase` in lower case.
        ending: why, an `Ending` from there in lower case; of the last try how the search ended, as
            in `Record.status`.
        steps, gradients: what it cost.
    """

    phase: str
    ending: str
    steps: int
    gradients: int


@dataclass(frozen=True)
class Record:
    """How the search from one starting point ended; a failed one says why in `message`.

    Attributes:
        name, formula, split, start, noise_seed: the starting point.
        status: how the search ended (`gadlib.solver.state.Status`); `message` says it in words.
        converged: whether the criterion that was asked for is met.
        index1, strict, bound: the three criteria at the last point, by an exact Hessian; null where
            there is none, and `message` says why.
        imaginary_cm1: wavenumber of the imaginary mode, 0 where there is none.
        n_fragments: pieces of the bond graph at the last point.
        steps, escapes: moves made, and those of them that were escapes.
        order: negative vibrational eigenvalues.
        fmax: largest force on an atom in eV/A.
        energy: in eV.
        eigenvalues: the two lowest vibrational ones in eV/(A^2 amu).
        n_energy, n_gradient, n_hessian: calculator calls; an energy comes with its gradient, those
            inside a Hessian are not counted.
        elapsed_s, calculator_s: wall time, and the calculator's share.
        atomic_numbers, positions: the last point, in angstrom.
        tries: what the search tried, in order; empty where its solver makes no tries.
    """

    name: str
    formula: str
    split: str
    start: str
    noise_seed: int | None
    status: str
    message: str
    converged: bool
    index1: bool | None
    strict: bool | None
    bound: bool | None
    imaginary_cm1: float | None
    n_fragments: int | None
    steps: int
    escapes: int
    order: int | None
    fmax: float | None
    energy: float | None
    eigenvalues: list[float | None]
    n_energy: int
    n_gradient: int
    n_hessian: int
    elapsed_s: float
    calculator_s: float
    atomic_numbers: list[int]
    positions: list[list[float]]
    tries: list[TryRecord] = field(default_factory=list)

    @classmethod
    def read(cls, values: Any) -> Record:
        """The record from its JSON; fields that this version does not know are left out.

        Raises:
            InputError: when a field is missing, or not of its type.
        """
        record = fit(cls, values, "a record", expected="one as gadlib writes it")
        record.require_points()
        return record

    def require_points(self) -> None:
        """Nothing, when every atom of the last point is somewhere.

        Raises:
            InputError: when it is not, or an atom is no element.
        """
        n = len(self.atomic_numbers)
        if len(self.positions) != n or any(len(row) != 3 for row in self.positions):
            raise InputError(
                f"record {shown(self.name)}: positions of {len(self.positions)} atoms;"
                f" expected three coordinates for each of {n}"
            )
        is_known = all(math.isfinite(x) for row in self.positions for x in row)
        if not is_known and (self.converged or self.strict):
            raise InputError(
                f"record {shown(self.name)}: positions that are null in a search that converged;"
                " expected finite ones"
            )
        if wrong := [z for z in self.atomic_numbers if not 0 <= z <= 118]:
            raise InputError(
                f"record {shown(self.name)}: atomic_numbers has {wrong[0]}; expected 1 .. 118"
            )


_RELEVANT_PACKAGES = (
    *("torch", "numpy", "ase", "optuna", "sella", "scine-sparrow", "scine-utilities", "tblite"),
    *("e3nn", "torch-geometric"),
)


def proof_apart(record: Record) -> Record:
    """The record without the Hessian that proves its strict saddle, where costs are compared."""
    return replace(record, n_hessian=record.n_hessian - bool(record.strict))


def gradients_of(record: Record) -> int:
    """What a search cost in gradients: its own, and 6N for each Hessian.

    As many as central differences take, whatever a potential's own Hessian costs.
    """
    return record.n_gradient + 6 * len(record.atomic_numbers) * record.n_hessian


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {"gadlib": __version__, "python": platform.python_version()}
    for name in _RELEVANT_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def payload(settings: Settings, records: Iterable[Record], **more: Any) -> dict[str, Any]:
    """Settings, versions and records, as every result file holds them."""
    return {
        "settings": settings.model_dump(),
        "versions": versions(),
        **more,
        "records": [asdict(r) for r in records],
    }


def read_results(path: str | Path) -> tuple[ResultFile, list[Record]]:
    """What a result file says of itself, and its records.

    Raises:
        InputError: when it is missing, not JSON, or not such a file.
    """
    content = fit(ResultFile, read_json(path), path, expected="an object with settings and records")
    records = fit_all(Record, content.records, path, "records")
    for record in records:
        try:
            record.require_points()
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    return content, records


def read_records(path: str | Path) -> tuple[dict[str, Any], list[Record]]:
    """The settings and the records of a result file.

    Raises:
        InputError: when it is missing, not JSON, or not such a file.
    """
    content, records = read_results(path)
    return content.settings, records
