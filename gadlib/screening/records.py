"""What is kept of a search: one Record per molecule, as JSON that is replaced whole."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from gadlib import __version__
from gadlib.files.reading import read_json
from gadlib.files.shapes import ResultFile, fit
from gadlib.molecules.starting_points import Start
from gadlib.screening.record_parts import Passed, Searched
from gadlib.settings.criteria import AT_POINTS, CRITERIA
from gadlib.settings.reading import InputError, Settings, shown
from gadlib.solver.state import PastTry, Status

FORMAT = 2
"""Of result files. In format 1, which files without a number have, a record's fields include the
criteria `index1`, `strict` and `bound`."""

_CRITERIA_1 = ("index1", "strict", "bound")


@dataclass(frozen=True)
class Record:
    """How the search from one starting point ended; a failed one says why in `message`.

    Attributes:
        name, formula, split, start, noise_seed: the starting point.
        status: how the search ended (`gadlib.solver.state.Status`); `message` says it in words.
        converged: whether the criterion that was asked for is met.
        criteria: whether the last point meets each, by its exact Hessian; null where there is none,
            and `message` says why.
        imaginary_cm1: wavenumber of the imaginary mode, 0 where there is none.
        n_fragments: pieces of the bond graph at the last point.
        steps, escapes: moves made, and those of them that were escapes.
        order: negative vibrational eigenvalues.
        fmax: largest force on an atom in eV/A.
        energy: in eV; energy_start: that of the starting point, where it was computed.
        eigenvalues: the two lowest vibrational ones in eV/(A^2 amu).
        n_energy, n_gradient, n_hessian: calculator calls; those inside a Hessian are not counted.
        elapsed_s, calculator_s: wall time, and the calculator's share.
        atomic_numbers, positions: the last point, in angstrom.
        forces: on the atoms there, in eV/A; empty where they could not be computed.
        mode: the lowest vibrational mode there as a Cartesian displacement of length 1, of which
            `imaginary_cm1` is the wavenumber; empty where there is no exact Hessian.
        tries: what the search tried, in order; empty where its solver makes no tries.
        charge, multiplicity: of the molecule, in e and 2S + 1.
        began_at: where the search of a geometry of one's own began, in A, so that it can be made
            again without the file; empty where a recipe makes the start of a set's reaction.
        given: `Start.digest` of that, by which a run that is resumed knows it.
        rmsd_start: how far the last point is from the start, in A, superposed; bonds_changed: bonds
            made or broken since, but for those of the reaction itself.
        proof: of an order that a few products have proved (`hyperparameters.proof`): how many, and
            the bounds; the second of `eigenvalues` is a model's then, as frequencies are, which
            the command `frequencies` computes. Empty where an exact Hessian proves it.
        n_proof: gradients of that, among `n_gradient`.
        near: whether a bound saddle is near that (`nearness`).
        verdict: what the saddle joins, where it was followed between known ends, else empty;
            passed: the saddles on the way, in order, of a reaction in two steps both.
        searches: of a portfolio those that were made, in order, whose costs the record has in all;
            empty of one start.
        n_image, n_end: gradients of images between the ends, and at the ends, relaxing them
            included, among `n_gradient`; n_path_gradient, n_path_hessian: calls on the way
            downhill, apart.
    """

    name: str
    formula: str
    split: str
    start: str
    noise_seed: int | None
    status: str
    message: str
    converged: bool
    criteria: dict[str, bool | None]
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
    tries: list[PastTry] = field(default_factory=list)
    charge: int = field(default=0, metadata={"is_signed": True})
    multiplicity: int = 1
    verdict: str = ""
    passed: list[Passed] = field(default_factory=list)
    n_image: int = 0
    n_end: int = 0
    n_path_gradient: int = 0
    n_path_hessian: int = 0
    energy_start: float | None = None
    forces: list[list[float]] = field(default_factory=list)
    mode: list[list[float]] = field(default_factory=list)
    began_at: list[list[float]] = field(default_factory=list)
    rmsd_start: float | None = None
    bonds_changed: int | None = None
    near: bool | None = None
    proof: str = ""
    n_proof: int = 0
    given: str = ""
    searches: list[Searched] = field(default_factory=list)

    @classmethod
    def blank(cls, start: Start, status: Status, message: str) -> Record:
        """The record of a start of which nothing is known but how its search ended."""
        return cls(
            name=start.name,
            formula=start.formula,
            split=start.split,
            start=start.start,
            noise_seed=start.noise_seed,
            status=str(status),
            message=message,
            converged=False,
            criteria=dict.fromkeys(CRITERIA),
            imaginary_cm1=None,
            n_fragments=None,
            steps=0,
            escapes=0,
            order=None,
            fmax=None,
            energy=None,
            eigenvalues=[None, None],
            n_energy=0,
            n_gradient=0,
            n_hessian=0,
            elapsed_s=0.0,
            calculator_s=0.0,
            atomic_numbers=start.atomic_numbers.tolist(),
            positions=start.positions.tolist(),
            charge=start.charge,
            multiplicity=start.multiplicity,
            began_at=[] if start.split else start.positions.tolist(),
        )

    @property
    def index1(self) -> bool | None:
        """Whether the last point meets the published criterion, as far as is known."""
        return self.criteria.get("index1")

    @property
    def strict(self) -> bool | None:
        """Whether the last point is a strict saddle, as far as is known."""
        return self.criteria.get("strict")

    @property
    def bound(self) -> bool | None:
        """Whether the last point is a bound saddle, as far as is known."""
        return self.criteria.get("bound")

    @property
    def is_timed_out(self) -> bool:
        """Whether the limit of time has ended its search, or one of a portfolio."""
        return Status.TIMED_OUT in (self.status, *(one.status for one in self.searches))

    def meets(self, criterion: str) -> bool:
        """Whether the last point is known to meet the criterion."""
        return bool(self.criteria.get(criterion))

    @classmethod
    def read(cls, values: Any, where: str = "a record") -> Record:
        """The record from its JSON, of any format; unknown fields are left out.

        Args:
            values: as JSON has it.
            where: what a message begins with.

        Raises:
            InputError: when a field is missing, or not of its type.
        """
        record = fit(cls, _updated(values), where, expected="one as gadlib writes it")
        record._require_points(where)
        return record

    def _require_points(self, where: str) -> None:
        """Raise InputError unless every atom of the last point is an element and somewhere."""
        n, where = len(self.atomic_numbers), f"{where} ({shown(self.name)})"
        if len(self.positions) != n or any(len(row) != 3 for row in self.positions):
            raise InputError(
                f"{where}: positions of {len(self.positions)} atoms;"
                f" expected three coordinates for each of {n}"
            )
        is_known = all(math.isfinite(x) for row in self.positions for x in row)
        for name in ("forces", "mode"):
            rows = getattr(self, name)
            if rows and (len(rows) != n or any(len(row) != 3 for row in rows)):
                raise InputError(
                    f"{where}: {name} of {len(rows)} atoms; expected three numbers for each of {n}"
                )
        if not is_known and (self.converged or self.strict):
            raise InputError(
                f"{where}: positions that are null in a search that converged; expected finite ones"
            )
        if wrong := [z for z in self.atomic_numbers if not 0 <= z <= 118]:
            raise InputError(f"{where}: atomic_numbers has {wrong[0]}; expected 1 .. 118")


def _updated(values: Any) -> Any:
    """A record of any format as the latest has it; a saddle is stationary in all of them."""
    if not isinstance(values, Mapping):
        return values
    if "criteria" not in values:
        criteria = {name: values[name] for name in _CRITERIA_1 if name in values}
        values = {**values, "criteria": criteria} if criteria else values
    criteria = values.get("criteria")
    is_moving = isinstance(criteria, Mapping) and criteria.get("strict") is False
    if is_moving and values.get("status") == Status.SADDLE:
        return {**values, "status": str(Status.ORDER_ONE)}
    return values


_RELEVANT_PACKAGES = ("torch", "numpy", "ase", "optuna", "sella")


def judged(records: Iterable[Record]) -> tuple[str, ...]:
    """The criteria that points answer, and of the others those that some record was asked."""
    records = [*records]
    asked = {n for r in records for n, met in r.criteria.items() if met is not None}
    return tuple(name for name in CRITERIA if name in AT_POINTS or name in asked)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {"gadlib": __version__, "python": platform.python_version()}
    from gadlib import calculators  # not above: records are read without them

    for name in (*_RELEVANT_PACKAGES, *calculators.packages()):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def payload(settings: Settings, records: Iterable[Record], **more: Any) -> dict[str, Any]:
    """Format, settings, versions and records, as every result file holds them."""
    return {
        "format": FORMAT,
        "settings": settings.model_dump(),
        "versions": versions(),
        **more,
        "records": [_kept(r) for r in records],
    }


def _kept(record: Record) -> dict[str, Any]:
    """The fields of a record as files have them: those of a portfolio where it is of one."""
    fields = asdict(record)
    if not record.searches:
        del fields["searches"]
    return fields


def read_results(path: str | Path) -> tuple[ResultFile, list[Record]]:
    """What a result file says of itself, and its records.

    Raises:
        InputError: when it is missing, not JSON, or not such a file.
    """
    content = fit(ResultFile, read_json(path), path, expected="an object with settings and records")
    if not 1 <= content.format <= FORMAT:
        raise InputError(
            f"{path}: format {content.format}; expected 1 .. {FORMAT}, or a newer gadlib to read it"
        )
    where = f"{path}: records"
    return content, [Record.read(item, f"{where}[{i}]") for i, item in enumerate(content.records)]


def read_records(path: str | Path) -> tuple[dict[str, Any], list[Record]]:
    """The settings and the records of a result file.

    Raises:
        InputError: when it is missing, not JSON, or not such a file.
    """
    content, records = read_results(path)
    return content.settings, records
