"""How an ASE calculator is told charge and multiplicity: one declared mapping per family.

A neutral closed shell is told to nobody. Of any other molecule a family's calculators are made with
options of their own; all the rest get atoms with initial charges, magnetic moments and `info`, of
which ASE's convention, and those of machine-learned potentials, take what they need. Options that
hold `{charge}`, `{multiplicity}` or `{unpaired}` say it themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from gadlib.settings.reading import InputError

Electrons = tuple[int, int]
"""Charge in e, and multiplicity 2S + 1."""

NEUTRAL: Electrons = (0, 1)


class Family(NamedTuple):
    """The options by which the calculators of a module are told.

    Attributes:
        charge: name of the option with the charge in e.
        multiplicity: name of the one with 2S + 1.
        more: what else is set where electrons are unpaired.
    """

    charge: str
    multiplicity: str
    more: Mapping[str, Any] = {}


FAMILIES = {
    "tblite": Family("charge", "multiplicity"),
    "aimnet": Family("charge", "mult"),
    "ase.calculators.orca": Family("charge", "mult"),
    "ase.calculators.gaussian": Family("charge", "mult"),
    "ase.calculators.psi4": Family("charge", "multiplicity"),
    "ase.calculators.qchem": Family("charge", "multiplicity"),
    "ase.calculators.cp2k": Family("charge", "multiplicity", {"uks": True}),
    "ase.calculators.turbomole": Family("total charge", "multiplicity"),
}
"""By the module of an import path, or the package that it is in."""

BLIND = ("emt", "lj", "morse", "eam", "tip3p", "tip4p", "acn", "ff", "harmonic")
"""Modules of `ase.calculators` whose potentials have no electrons at all."""

_WORD = re.compile(r"\{(charge|multiplicity|unpaired)\}")


def refusal(path: str, electrons: Electrons) -> str:
    """Why the calculator of this import path can't be told of such electrons, in words."""
    module = path.partition(":")[0]
    if electrons == NEUTRAL or module not in {f"ase.calculators.{name}" for name in BLIND}:
        return ""
    charge, multiplicity = electrons
    return (
        f"{path} has no electrons, and the molecule has a charge of {charge:+d} and a multiplicity"
        f" of {multiplicity}; expected a neutral one without unpaired electrons"
    )


def require_told_once(path: str, options: Mapping[str, Any]) -> None:
    """Raise InputError where options fix a charge or multiplicity, which molecules have."""
    family = _family(path)
    for name in family[:2] if family else ():
        value = options.get(name)
        if value is not None and not _words(value):
            raise InputError(
                f"ase_options: {name} is {value!r}; expected it from the molecules (charge=... and"
                " multiplicity=... in the file, or --charge and --multiplicity)"
            )


def options_for(path: str, options: Mapping[str, Any], electrons: Electrons) -> dict[str, Any]:
    """The options that a molecule's calculator is made with."""
    charge, multiplicity = electrons
    values = {"charge": charge, "multiplicity": multiplicity, "unpaired": multiplicity - 1}
    family, told = _family(path), _words(options)
    found = {name: _filled(value, values) for name, value in options.items()}
    if family is None or electrons == NEUTRAL:
        return found
    if "charge" not in told:
        found[family.charge] = charge
    if not told & {"multiplicity", "unpaired"}:
        found[family.multiplicity] = multiplicity
        found |= dict(family.more) if multiplicity > 1 else {}
    return found


def atoms_for(path: str, numbers: np.ndarray, positions: np.ndarray, electrons: Electrons) -> Atoms:
    """The atoms that its calculator computes; they carry charge and multiplicity where it asks."""
    atoms = Atoms(numbers, positions)
    if electrons == NEUTRAL or _family(path) is not None:
        return atoms
    charge, multiplicity = electrons
    atoms.info |= {"charge": charge, "multiplicity": multiplicity, "spin": multiplicity}
    atoms.set_initial_charges(np.full(len(atoms), charge / len(atoms)))
    atoms.set_initial_magnetic_moments(np.full(len(atoms), (multiplicity - 1) / len(atoms)))
    return atoms


def _family(path: str) -> Family | None:
    module = path.partition(":")[0]
    while module:
        if module in FAMILIES:
            return FAMILIES[module]
        module = module.rpartition(".")[0]
    return None


def _words(value: Any) -> set[str]:
    """Which of the words in braces a value holds, in whatever it is nested."""
    if isinstance(value, str):
        return set(_WORD.findall(value))
    if isinstance(value, Mapping):
        return set().union(*map(_words, value.values()))
    return set().union(*map(_words, value)) if isinstance(value, list | tuple) else set()


def _filled(value: Any, values: Mapping[str, int]) -> Any:
    """The value with the words in braces replaced; one that is such a word alone is a number."""
    if isinstance(value, str):
        if match := _WORD.fullmatch(value):
            return values[match[1]]
        return _WORD.sub(lambda match: str(values[match[1]]), value)
    if isinstance(value, Mapping):
        return {name: _filled(item, values) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(item, values) for item in value]
    return value
