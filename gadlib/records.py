"""What is kept of a search: one Record per molecule, as JSON that is replaced whole. Floor 3."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import random
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from gadlib import __version__
from gadlib.input import InputError, Settings, read_text, shown
from gadlib.shapes import ResultFile, fit, fit_all


@dataclass(frozen=True)
class Record:
    """How the search from one starting point ended; a failed one says why in `message`.

    Attributes:
        name, formula, split, start, noise_seed: the starting point.
        status: how the search ended (`gadlib.state.Status`); `message` is the same in a sentence.
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


def write_json(path: str | Path, content: Any) -> Path:
    """The path, after the file was replaced: a reader sees the old one or the new, never a part.

    Numbers that are not finite are written as null.

    Raises:
        InputError: when the file can't be written there.
    """
    text = json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"
    return write_bytes(path, text.encode())


def write_bytes(path: str | Path, content: bytes) -> Path:
    """The path, after the file was replaced: a reader sees the old one or the new, never a part.

    Raises:
        InputError: when the file can't be written there.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{random.SystemRandom().randrange(16**8):08x}")
        try:
            with temporary.open("xb") as file:  # with the permissions that the umask leaves
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from None
    return path


def whole_lines(path: Path, start: int) -> tuple[list[bytes], int]:
    """The lines of a growing file from a place on, and the place after them.

    A last one that is not ended yet, or was torn, is left.

    Raises:
        OSError: when the file can't be read.
    """
    with path.open("rb") as file:
        file.seek(start)
        lines = [line for line in file if line.endswith(b"\n")]
    return lines, start + sum(map(len, lines))


def read_json(path: str | Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: when it is missing or not JSON, or names the same thing twice.
    """
    text = read_text(path, "JSON")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_float, parse_float=_float)
    except RecursionError:
        raise InputError(f"{path}: not JSON that can be read (nested too deeply)") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{shown(twice)} twice in one object")
    return found


def _float(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text}, expected a finite number or null")
    return number


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


def require_writable(folder: str | Path) -> Path:
    """The folder, made if need be, after a file could be created in it.

    Raises:
        InputError: when none can be.
    """
    folder = Path(folder)
    try:
        _MADE.extend(p for p in (folder, *folder.parents) if not p.exists())
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InputError(
            f"output folder {folder}: can't be written ({error.strerror or error})"
        ) from None


_MADE: list[Path] = []


def leave_no_empty_folder() -> None:
    """Nothing, after the folders that were made for results, and are empty yet, were removed.

    For who is refused: nothing is left of what was asked for.
    """
    for folder in sorted(set(_MADE), key=lambda path: -len(path.parts)):
        with contextlib.suppress(OSError):  # there are results in it, or it is gone
            folder.rmdir()
    _MADE.clear()


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content
