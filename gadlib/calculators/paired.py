"""A costly potential with a cheap one beside it, as the solver `delta` takes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from gadlib.calculators import registry
from gadlib.calculators.springs import WITHOUT_CHEMISTRY
from gadlib.evaluation import Calculator, Evaluation
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch, Molecule

USUAL = ("tblite:GFN2-xTB", "scine:DFTB0")
"""What `auto` tries, in this order."""

_FORMS = (
    "auto, scine:METHOD, tblite:METHOD, none, springs or the import path of an ASE calculator,"
    " MODULE:NAME"
)


@dataclass(frozen=True)
class Paired:
    """The costly calculator in all that it says and declares, with `cheap` beside it.

    It knows the molecules that both know.
    """

    costly: Calculator
    cheap: Calculator

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """What the costly one says."""
        return self.costly(batch, hessian=hessian)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("costly", "cheap"):  # as while it is unpickled
            raise AttributeError(name)
        return getattr(self.costly, name)

    def unsupported(self, elements: Collection[int]) -> dict[int, str]:
        """The elements that one of them does not know, and why."""
        found: dict[int, str] = {}
        for one in (self.cheap, self.costly):
            ask = getattr(one, "unsupported", None)
            found |= {} if ask is None else ask(set(elements))
        return found

    def refuses(self, charge: int, multiplicity: int) -> str:
        """Why one of them can't take such electrons; empty where both can."""
        asked = [getattr(one, "refuses", None) for one in (self.costly, self.cheap)]
        reasons = [ask(charge, multiplicity) for ask in asked if ask is not None]
        return next(filter(None, reasons), "")


def pair(
    costly: Calculator,
    cheap: str,
    molecules: Sequence[Molecule],
    settings: CalculatorSettings | None,
) -> Calculator:
    """The calculator with the cheap one that was named, as it is where it has one already.

    `auto` is the first of `USUAL` that can be used here, knows most of the molecules, and is not
    the costly one itself.

    Args:
        costly: the potential that is searched on.
        cheap: what the setting says.
        molecules: that are to be searched.
        settings: of the costly one; None where it was made by hand, and `auto` can't tell it from
            the cheap ones.

    Raises:
        InputError: when the cheap one can't be used, or there is none.
    """
    if hasattr(costly, "cheap"):
        return costly
    if cheap in WITHOUT_CHEMISTRY:
        return Paired(costly, WITHOUT_CHEMISTRY[cheap])
    if cheap != "auto":
        return Paired(costly, _build(_settings(cheap)))
    found, reasons = [], []
    for name in USUAL:
        asked = _settings(name)
        if settings is not None and registry.identity(asked) == registry.identity(settings):
            reasons.append(f"{name} is the calculator itself")
            continue
        try:
            found.append(Paired(costly, _build(asked)))
        except InputError as error:
            reasons.append(str(error))
    if not found:
        raise InputError(f"cheap auto: none can be used here ({'; '.join(reasons)})")
    return min(found, key=lambda one: sum(map(bool, registry.lacking(one, molecules))))


def _settings(name: str) -> CalculatorSettings:
    """The settings of a cheap potential, by what the setting says."""
    kind, colon, rest = name.partition(":")
    if not colon or not rest:
        raise InputError(f"cheap {name!r}: expected {_FORMS}")
    if kind == "scine":
        return CalculatorSettings.read({"calculator": "scine", "scine_functional": rest})
    if kind != "tblite":
        return CalculatorSettings.read({"calculator": "ase", "ase_calculator": name})
    electrons = {"charge": "{charge}", "multiplicity": "{multiplicity}"}
    options = {"method": rest, "verbosity": 0} | electrons
    return CalculatorSettings.read(
        {"calculator": "ase", "ase_calculator": "tblite.ase:TBLite", "ase_options": options}
    )


def _build(settings: CalculatorSettings) -> Calculator:
    try:
        return registry.build(settings)
    except (ValueError, ImportError) as error:
        raise InputError(f"the cheap potential: {error}") from None
