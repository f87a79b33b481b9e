"""Downhill from saddles: of a result file or a set, as settings name them, or from ASE's Atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from torch import Tensor

from gadlib.ase.systems import batch_of, potential_of
from gadlib.hessians.vibrations import Vibrations
from gadlib.molecules.bonds import bond_graph
from gadlib.molecules.descriptions import change_in_words
from gadlib.paths import intended
from gadlib.paths.atoms import POINTS
from gadlib.paths.records import PathRecord
from gadlib.settings.reading import InputError
from gadlib.settings.results import PathSettings
from gadlib.solver.downhill import irc
from gadlib.systems.batch import Batch


@dataclass(frozen=True)
class Followed:
    """Where a saddle leads, as Atoms with energies; where that is not known `message` says why.

    Attributes:
        saddle: sharpened, with its mode as the array `mode`.
        ends: the two minima, the lower one first; none where the path could not be followed.
        path: from the first end over the saddle to the second. Each says in `info` what `point` it
            is, its `path_length` in amu^1/2 A, 0 at the saddle, and `relative_energy` in eV.
        barriers: from the ends to the saddle, in eV.
        change: what happens from the first end to the second, by bonds, in words.
        n_gradient, n_hessian: calculator calls.
        message: why there is no path; empty where there is one.
    """

    saddle: Atoms
    ends: tuple[Atoms, ...]
    path: tuple[Atoms, ...]
    barriers: tuple[float, ...]
    change: str
    n_gradient: int
    n_hessian: int
    message: str


@overload
def follow(saddles: PathSettings) -> list[PathRecord]: ...


@overload
def follow(
    saddles: Atoms,
    *,
    calculator: Any = None,
    hessian_every: int | None = None,
    n_steps: int = 400,
    displacement: float = 0.01,
) -> Followed: ...


def follow(
    saddles: PathSettings | Atoms,
    *,
    calculator: Any = None,
    hessian_every: int | None = None,
    n_steps: int = 400,
    displacement: float = 0.01,
) -> list[PathRecord] | Followed:
    """What saddles join: those that settings name, as records and files, or one given as Atoms.

        followed = follow(find_saddle(guess, calculator=EMT()), calculator=EMT())
        followed.ends, followed.barriers, followed.change

    Args:
        saddles: settings, whose results are written to `paths.json` in their output folder; or one
            saddle, with frozen atoms (FixAtoms) and cell as `SaddleSearch` takes them. The other
            arguments are for the latter.
        calculator: an ASE calculator or one of gadlib's; by default that of the Atoms.
        hessian_every: steps from one exact Hessian to the next; None: none between the saddle and
            the minima where they are costly, else one at each step.
        n_steps: steps along the coordinate at most, on each side.
        displacement: of central differences in A, where the calculator has no Hessian of its own.

    Raises:
        InputError: when the settings can't be followed, or there is no calculator for the Atoms, or
            a value can't be used.
    """
    if isinstance(saddles, PathSettings):
        return intended.follow(saddles)
    if not isinstance(saddles, Atoms):
        raise InputError(
            f"saddles: {type(saddles).__name__}; expected PathSettings, or ASE's Atoms"
        )
    for name, value, least in (("hessian_every", hessian_every, 1), ("n_steps", n_steps, 0)):
        if value is not None and (not isinstance(value, int) or value < least):
            raise InputError(f"{name} {value!r}: expected an integer of at least {least}")
    atoms = saddles.copy()
    atoms.calc = saddles.calc if calculator is None else calculator
    potential, batch = potential_of(atoms, displacement), batch_of(atoms)
    (found,) = irc.follow(potential, batch, hessian_every=hessian_every, n_steps=n_steps)
    return _followed(saddles, batch, found)


def _followed(given: Atoms, batch: Batch, found: irc.Path) -> Followed:
    saddle = _point(given, found.positions, found.energy, found.energy, POINTS[2], 0.0)
    _add_modes(saddle, found.vibrations)
    legs = sorted(found.legs, key=lambda leg: float(leg.energy[-1]))
    why = next(iter(found.reasons), "")
    n_gradient, n_hessian = found.calls
    path, barriers, change = (), (), ""
    if not why:
        path = _points(given, saddle, found, legs)
        for end, leg in ((path[0], legs[0]), (path[-1], legs[1])):
            _add_modes(end, leg.vibrations)
        barriers = tuple(found.energy - float(leg.energy[-1]) for leg in legs)
        change = change_in_words(*(bond_graph(batch.moved_to(x.positions[-1:])) for x in legs))
    return Followed(
        saddle=saddle,
        ends=(path[0], path[-1]) if path else (),
        path=path,
        barriers=barriers,
        change=change,
        n_gradient=n_gradient,
        n_hessian=n_hessian,
        message=why,
    )


def _points(
    given: Atoms, saddle: Atoms, found: irc.Path, legs: Sequence[irc.Leg]
) -> tuple[Atoms, ...]:
    """The points of both legs, the first one backwards, with the saddle between them."""
    sides = []
    for leg, sign, end in zip(legs, (-1, 1), (POINTS[0], POINTS[3]), strict=True):
        last = len(leg.travelled) - 1
        side = [
            _point(
                given,
                leg.positions[i],
                float(leg.energy[i]),
                found.energy,
                end if i == last else POINTS[1],
                sign * float(leg.travelled[i]),
            )
            for i in range(1, last + 1)
        ]
        sides.append(side)
    return (*reversed(sides[0]), saddle, *sides[1])


def _point(
    given: Atoms, positions: Tensor, energy: float, top: float, kind: str, travelled: float
) -> Atoms:
    atoms = given.copy()
    atoms.positions = positions.cpu().numpy()
    atoms.arrays.pop("mode", None)
    told = {
        name: given.info[name] for name in ("name", "charge", "multiplicity") if name in given.info
    }
    atoms.info = told | {"point": kind, "path_length": travelled, "relative_energy": energy - top}
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


def _add_modes(atoms: Atoms, vibrations: Vibrations | None) -> None:
    """Put the lowest mode and its frequency to where a Hessian is known."""
    if vibrations is None or not vibrations.wavenumbers_cm1:
        return
    atoms.info["frequency_cm1"] = vibrations.wavenumbers_cm1[0]
    atoms.set_array("mode", vibrations.displacements[0].cpu().numpy().copy())
