"""Calculators by name, what each needs, and whether they know the elements at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase.data import chemical_symbols

from gadlib.calculators import ase, pyscf, sparrow, surfaces
from gadlib.calculators.hip import potential as hip
from gadlib.calculators.torchsim import potential as torchsim
from gadlib.evaluation import Calculator
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Molecule

_KINDS = (sparrow.KIND, hip.KIND, ase.KIND, torchsim.KIND, pyscf.KIND, surfaces.KIND)
KINDS = {kind.name: kind for kind in _KINDS}
"""Every kind of calculator by its name, in the order in which they are listed."""

NAMES = tuple(KINDS)


def get(name: str, /, **options: Any) -> Calculator:
    """The calculator of that name, e.g. `get("ase", calculator="tblite.ase:TBLite")`.

    Args:
        name: one of `NAMES`.
        options: the settings that belong to it, with or without its name in front.

    Raises:
        ValueError: when the name or an option is unknown or can't be used.
        ImportError: when its package is missing; the message says what to install.
    """
    own = CalculatorSettings.options_of(name)
    values = {f"{name}_{k}" if f"{name}_{k}" in own else k: v for k, v in options.items()}
    return build(CalculatorSettings.read({"calculator": name} | values))


def build(settings: CalculatorSettings) -> Calculator:
    """The calculator that the settings ask for.

    Raises:
        ValueError: when the name or an option is unknown or can't be used.
        ImportError: when its package is missing; the message says what to install.
    """
    if settings.calculator not in KINDS:
        raise InputError(f"calculator {settings.calculator!r}: expected one of {', '.join(NAMES)}")
    return KINDS[settings.calculator].build(settings)


def identity(settings: CalculatorSettings) -> dict[str, Any]:
    """What the results of the chosen calculator depend on; a checkpoint by its content."""
    found = {"calculator": settings.calculator, **settings.calculator_options()}
    kind = KINDS.get(settings.calculator)
    return found if kind is None else found | dict(kind.content(settings))


def packages() -> list[str]:
    """The packages whose versions results depend on, as pip names them."""
    return [package for kind in KINDS.values() for package in kind.packages]


def table(settings: CalculatorSettings) -> str:
    """The calculators, what each needs, and whether it is usable here, else why not."""
    lines = []
    for name, kind in KINDS.items():
        reasons = kind.missing(settings)
        lines.append(f"{'✗' if reasons else '✓'} {name:<8} {kind.doc}")
        lines.append(f"           needs: {kind.needs}")
        lines.extend(f"           missing: {reason}" for reason in reasons)
    return "\n".join(lines)


def lacking(calculator: Calculator, molecules: Sequence[Molecule]) -> list[str]:
    """For each molecule why the calculator can't compute it, in words.

    Elements that it lacks (its `unsupported`), a charge or multiplicity that it does not know (its
    `refuses`). Empty where it knows them all, or can't be asked.
    """
    ask = getattr(calculator, "unsupported", None)
    refuses = getattr(calculator, "refuses", lambda charge, multiplicity: "")
    elements = {int(z) for molecule in molecules for z in molecule.atomic_numbers}
    unknown = ask(elements) if ask is not None and elements else {}
    found = []
    for molecule in molecules:
        reasons = [
            f"the calculator does not know element {chemical_symbols[z]} ({reason})"
            for z, reason in unknown.items()
            if z in molecule.atomic_numbers
        ]
        reasons.append(refuses(molecule.charge, molecule.multiplicity))
        found.append("; ".join(filter(None, reasons)))
    return found
