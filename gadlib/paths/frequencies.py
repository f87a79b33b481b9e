"""Vibrations and thermochemistry of stationary points, minima and saddles: one record each.

From one exact Hessian at each point as it is; nothing is relaxed. What can't be computed is a
record with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from gadlib import calculators
from gadlib.evaluation import Calculator, evaluate
from gadlib.files.reading import read_json
from gadlib.files.shapes import FrequenciesFile, PathsFile, ResultFile, fit, fit_all
from gadlib.files.writing import require_json, require_writable, write_json
from gadlib.hessians.normal_modes import FORCE_TOL
from gadlib.hessians.vibrations import vibrations_of
from gadlib.molecules import starting_points
from gadlib.molecules.starting_points import Start, too_close
from gadlib.paths.inherited import is_result_file
from gadlib.paths.records import read_paths
from gadlib.paths.thermochemistry import Conditions, Thermochemistry, gas_of
from gadlib.progress.bar import Bar
from gadlib.screening import remembered
from gadlib.screening.inherited import inherit_calculator
from gadlib.screening.records import Record, read_records, versions
from gadlib.settings.reading import InputError, listed
from gadlib.settings.results import FrequencySettings
from gadlib.systems.batch import Batch, longest

FORMAT = 1
"""Of the files that frequencies are written to."""

Points = str | Path | Atoms | Sequence[Atoms]


@dataclass(frozen=True)
class FrequencyRecord:
    """A stationary point and its vibrations.

    Attributes:
        name, formula: of the molecule; `charge` in e, `multiplicity` 2S + 1.
        message: what is wrong with it, in a sentence; empty where nothing is.
        atomic_numbers, positions: as given, in A.
        fmax: the largest force on an atom, in eV/A.
        order: imaginary vibrations: 0 of a minimum, 1 of a saddle.
        modes: Cartesian displacements of the atoms, each vibration's of length one, in the order of
            the wavenumbers in `thermochemistry`.
        thermochemistry: one, with wavenumbers and reduced masses; none where it is not known.
    """

    name: str
    formula: str
    message: str
    charge: int = 0
    multiplicity: int = 1
    atomic_numbers: list[int] = field(default_factory=list)
    positions: list[list[float]] = field(default_factory=list)
    fmax: float | None = None
    order: int | None = None
    modes: list[list[list[float]]] = field(default_factory=list)
    thermochemistry: list[Thermochemistry] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What the point is, in a word or two."""
        if self.order is None or self.fmax is None:
            return "not computed"
        if self.fmax >= FORCE_TOL:
            return "not stationary"
        return ("minimum", "saddle")[self.order] if self.order < 2 else f"order {self.order}"


def frequencies(
    points: Points,
    settings: FrequencySettings | None = None,
    *,
    out: str | Path | None = None,
    **given: Any,
) -> list[FrequencyRecord]:
    """One record for each point, in their order, as in `frequencies("saddle.xyz", pressure=1e5)`.

    Args:
        points: a file of geometries (xyz, extxyz, or whatever ASE reads), a result file of searches
            (their stationary points) or a `paths.json` (ends and saddles), or ASE's `Atoms`. With a
            result file the calculator is that file's where none is given.
        settings: what to do and how, by default the defaults.
        out: JSON file to write; None writes nothing.
        given: settings by name, over those in `settings`.

    Raises:
        InputError: when a setting or the file can't be used, or `out` exists.
    """
    before = (
        {} if settings is None else {n: getattr(settings, n) for n in settings.model_fields_set}
    )
    asked = FrequencySettings.read(before | given)
    if out is not None:
        require_json(out)
        require_writable(Path(out).parent)
        if Path(out).exists():
            raise InputError(f"{out} exists; choose another output, nothing is overwritten")
    starts, asked = _read(points, asked)
    try:
        calculator = remembered.build(asked)
    except (ValueError, ImportError) as error:
        raise InputError(str(error)) from None
    starts = starts[: asked.max_samples]
    conditions = Conditions(asked.temperature, asked.pressure, asked.symmetry_number)
    found = list(_each(calculator, starts, conditions))
    if found and all(record.order is None for record in found):
        reasons = [f"{record.name}: {record.message}" for record in found]
        raise InputError(f"no frequencies of {len(found)} molecules: {listed(reasons)}")
    if out is not None:
        about = {"format": FORMAT, "settings": asked.model_dump(), "versions": versions()}
        write_json(Path(out), about | {"frequencies": [asdict(record) for record in found]})
    return found


def read_frequencies(path: str | Path) -> list[FrequencyRecord]:
    """What an earlier run wrote.

    Raises:
        InputError: when it is missing, or no such file.
    """
    expected = "an object with frequencies, as `gadlib frequencies` writes it"
    content = fit(FrequenciesFile, read_json(path), path, expected=expected)
    if content.format != FORMAT:
        raise InputError(
            f"{path}: format {content.format}; expected {FORMAT}, or a newer gadlib to read it"
        )
    return fit_all(FrequencyRecord, content.frequencies, path, "frequencies")


def _read(points: Points, settings: FrequencySettings) -> tuple[list[Start], FrequencySettings]:
    """The molecules, and the settings with the calculator that their file was made with."""
    if not isinstance(points, str | Path):
        atoms = [points] if isinstance(points, Atoms) else list(points)
        if not all(isinstance(each, Atoms) for each in atoms) or not atoms:
            raise InputError("points: expected a file, or one or several of ASE's Atoms")
        return starting_points.from_atoms(atoms, **settings.electrons), settings
    if not is_result_file(points):
        return starting_points.read_geometries(points, **settings.electrons), settings
    content = read_json(points)
    if isinstance(content, dict) and "paths" in content:
        earlier, found = fit(PathsFile, content, points).settings, _of_paths(points)
    else:
        expected = "a result file of searches, or a paths.json"
        fit(ResultFile, content, points, expected=expected)
        earlier, records = read_records(points)
        found = [_start(record.name, record, record.positions) for record in _stationary(records)]
    if not found:
        raise InputError(f"{points}: no stationary point in it; expected at least one")
    return found, inherit_calculator(settings, earlier, points)


def _stationary(records: Sequence[Record]) -> list[Record]:
    return [r for r in records if r.fmax is not None and r.fmax < FORCE_TOL]


def _of_paths(path: str | Path) -> list[Start]:
    """The ends and the saddle of each path."""
    found = []
    for record in read_paths(path):
        if record.ends:
            places = [record.ends[0], record.saddle, record.ends[1]]
            for what, positions in zip(("reactant", "saddle", "product"), places, strict=True):
                found.append(_start(f"{record.name} {what}", record, positions))
    return found


def _start(name: str, of: Any, positions: list[list[float]]) -> Start:
    return Start(
        name=name,
        formula=of.formula,
        split="",
        start="",
        noise_seed=None,
        atomic_numbers=np.array(of.atomic_numbers),
        positions=np.array(positions, dtype=float),
        max_fragments=0,
        charge=of.charge,
        multiplicity=of.multiplicity,
    )


def _each(
    calculator: Calculator, starts: Sequence[Start], conditions: Conditions
) -> Iterator[FrequencyRecord]:
    """The record of each molecule; what fails, with one, is a record of that."""
    lacking = calculators.lacking(calculator, starts)
    with Bar(len(starts), "frequencies", "molecule") as bar:
        for start, lack in zip(starts, lacking, strict=True):
            if reason := start.problem or lack or too_close(start, _CLOSEST):
                yield _blank(start, reason)
            else:
                yield _of(calculator, start, conditions)
            bar.done()


_CLOSEST = 0.1
"""A between two atoms, below which nothing is computed, as where searches begin."""


def _blank(start: Start, reason: str) -> FrequencyRecord:
    return FrequencyRecord(
        name=start.name,
        formula=start.formula,
        message=reason,
        charge=start.charge,
        multiplicity=start.multiplicity,
        atomic_numbers=start.atomic_numbers.tolist(),
        positions=start.positions.tolist(),
    )


def _of(calculator: Calculator, start: Start, conditions: Conditions) -> FrequencyRecord:
    batch = Batch.of([start]).to(getattr(calculator, "device", "cpu"))
    found, _ = evaluate(calculator, batch, hessian=True)
    if found.failures or found.hessian is None:
        return _blank(start, found.failures.get(0, "the calculator gave no Hessian"))
    (vibrations,) = vibrations_of(batch, found.hessian, found.forces)
    fmax = float(longest(found.forces.flatten(1))[0])
    message, gases = "", []
    if fmax >= FORCE_TOL:
        message = (
            f"forces of {fmax:.3f} eV/A are left: no stationary point of this potential (below"
            f" {FORCE_TOL} expected), so that neither frequencies nor energies mean much"
        )
    try:
        energy = float(found.energy[0])
        gases = [
            gas_of(
                start.atomic_numbers,
                start.positions,
                energy,
                vibrations,
                conditions,
                multiplicity=start.multiplicity,
            )
        ]
    except InputError as error:
        message = str(error)
    return replace(
        _blank(start, message),
        fmax=fmax,
        order=sum(x < 0 for x in vibrations.wavenumbers_cm1),
        modes=vibrations.displacements.cpu().tolist(),
        thermochemistry=gases,
    )
