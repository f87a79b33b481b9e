"""Calculators by name, what each needs, and whether they know the elements at hand. Floor 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from gadlib.calculators import ase, sparrow
from gadlib.calculators.hip import potential
from gadlib.calculators.surfaces import SURFACES
from gadlib.evaluation import Calculator
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError


@dataclass(frozen=True)
class Kind:
    """A kind of calculator.

    Attributes:
        doc: what it is, in one line.
        needs: what has to be there, in one line.
        build: the calculator that settings ask for; raises ValueError or ImportError.
        missing: why it can't be used here with these settings, a sentence for each reason.
    """

    doc: str
    needs: str
    build: Callable[[CalculatorSettings], Calculator]
    missing: Callable[[CalculatorSettings], list[str]]


def _scine(settings: CalculatorSettings) -> Calculator:
    return sparrow.Sparrow(settings.scine_functional)


def _surface(settings: CalculatorSettings) -> Calculator:
    if settings.surface_name not in SURFACES:
        raise InputError(
            f"surface {settings.surface_name!r}: expected one of {', '.join(SURFACES)}"
        )
    return SURFACES[settings.surface_name]


def _hip(settings: CalculatorSettings) -> Calculator:
    return potential.Hip(
        settings.checkpoint_path,
        source=settings.hip_source,
        device=settings.device,
        threads=settings.threads,
        trust=settings.trust_checkpoint,
        mean_atoms=settings.hip_mean_atoms,
        seed=settings.hip_seed,
    )


def _ase(settings: CalculatorSettings) -> Calculator:
    if settings.ase_calculator is None:
        raise InputError(
            f"ase_calculator: not given; expected MODULE:NAME, e.g. {', '.join(ase.KNOWN)}"
        )
    return ase.Ase(
        settings.ase_calculator, settings.ase_options, displacement=settings.ase_displacement
    )


def _refusal(build: Callable[[CalculatorSettings], Calculator]) -> Callable:
    def missing(settings: CalculatorSettings) -> list[str]:
        try:
            build(settings)
        except (ValueError, ImportError) as error:
            return [str(error)]
        return []

    return missing


KINDS: dict[str, Kind] = {
    "scine": Kind(
        f"SCINE Sparrow, semi-empirical, CPU: {', '.join(sparrow.METHODS)} (--scine-functional)",
        "pip install scine-sparrow (Python 3.10-3.12, Linux x86-64)",
        _scine,
        _refusal(_scine),
    ),
    "hip": Kind(
        "HIP, a neural potential that predicts Hessians of molecules of H, C, N and O; CPU or GPU",
        "pip install 'gadlib[hip]'; --hip-source or HIP_SOURCE, --checkpoint-path",
        _hip,
        lambda settings: potential.missing(
            settings.checkpoint_path, source=settings.hip_source, device=settings.device
        ),
    ),
    "ase": Kind(
        "any ASE calculator by its import path, with its own Hessians or by differences; "
        f"found here: {', '.join(ase.found())}",
        "its package, e.g. pip install 'gadlib[tblite]'; --ase-calculator, --ase-options",
        _ase,
        lambda settings: _refusal(_ase)(settings) if settings.ase_calculator else [],
    ),
    "surface": Kind(
        f"analytic surfaces with known saddles: {', '.join(SURFACES)} (--surface-name)",
        "nothing",
        _surface,
        _refusal(_surface),
    ),
}
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
    options = settings.calculator_options()
    if settings.calculator == "hip" and settings.checkpoint_path is not None:
        options["checkpoint_path"] = potential.digest(settings.checkpoint_path)
    return {"calculator": settings.calculator, **options}


def table(settings: CalculatorSettings) -> str:
    """The calculators, what each needs, and whether it is usable here, else why not."""
    lines = []
    for name, kind in KINDS.items():
        reasons = kind.missing(settings)
        lines.append(f"{'✗' if reasons else '✓'} {name:<6} {kind.doc}")
        lines.append(f"         needs: {kind.needs}")
        lines.extend(f"         missing: {reason}" for reason in reasons)
    return "\n".join(lines)


def lacking(calculator: Calculator, molecules: Sequence[np.ndarray]) -> list[str]:
    """For each molecule by its atomic numbers, which elements the calculator lacks, in words.

    Empty where it knows them all, or has no `unsupported` to ask.
    """
    ask = getattr(calculator, "unsupported", None)
    elements = {int(z) for numbers in molecules for z in numbers}
    reasons = ask(elements) if ask is not None and elements else {}
    return [
        "; ".join(
            f"the calculator does not know element {chemical_symbols[z]} ({reason})"
            for z, reason in reasons.items()
            if z in numbers
        )
        for numbers in molecules
    ]
