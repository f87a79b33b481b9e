"""A costly potential with a cheap one beside it, as the solver `delta` takes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
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

INSTEAD = (*USUAL[:1], "tblite:GFN1-xTB", *USUAL[1:], "springs", "none")
"""What takes the place of a cheap potential that fails for a molecule, in this order.

GFN1-xTB serves about as well as GFN2-xTB; DFTB0 has no self-consistency that can fail; springs know
all elements. `none` is taken where one misleads."""

_TBLITE = "tblite.ase:TBLite"

_FORMS = (
    "auto, scine:METHOD, tblite:METHOD, none, springs or the import path of an ASE calculator,"
    " MODULE:NAME"
)


@dataclass(frozen=True)
class Paired:
    """The costly calculator in all that it says and declares, with `cheap` beside it.

    It knows the molecules that it and one of the cheap ones know.

    Attributes:
        costly: the calculator.
        cheap: the potential below.
        others: that take its place below molecules for which it fails, the first one first.
        names: of all these, the cheap one first; none where their own will do.
    """

    costly: Calculator
    cheap: Calculator
    others: tuple[Calculator, ...] = ()
    names: tuple[str, ...] = ()

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """What the costly one says."""
        return self.costly(batch, hessian=hessian)

    def __getattr__(self, name: str) -> Any:
        own = ("costly", "cheap", "others", "names")
        if name.startswith("_") or name in own:  # as while it is unpickled
            raise AttributeError(name)
        return getattr(self.costly, name)

    def unsupported(self, elements: Collection[int]) -> dict[int, str]:
        """The elements that the costly one does not know, or no cheap one, and why."""
        below = [_unsupported(one, elements) for one in (self.cheap, *self.others)]
        found = {z: why for z, why in below[0].items() if all(z in one for one in below)}
        return found | _unsupported(self.costly, elements)

    def refuses(self, charge: int, multiplicity: int) -> str:
        """Why the costly one, or no cheap one, can take such electrons; empty where they can."""
        below = [_refusal(one, charge, multiplicity) for one in (self.cheap, *self.others)]
        return _refusal(self.costly, charge, multiplicity) or (below[0] if all(below) else "")


def _unsupported(calculator: Calculator, elements: Collection[int]) -> dict[int, str]:
    ask = getattr(calculator, "unsupported", None)
    return {} if ask is None else dict(ask(set(elements)))


def _refusal(calculator: Calculator, charge: int, multiplicity: int) -> str:
    ask = getattr(calculator, "refuses", None)
    return "" if ask is None else ask(charge, multiplicity)


def pair(
    costly: Calculator,
    cheap: str,
    molecules: Sequence[Molecule],
    settings: CalculatorSettings | None,
) -> Calculator:
    """The calculator with the cheap one that was named, as it is where it has one already.

    `auto` is the first of `USUAL` that can be used here, knows most of the molecules, and is not
    the costly one itself. Beside it are those of `INSTEAD` that can be used here, for molecules for
    which it fails.

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
        return Paired(costly, WITHOUT_CHEMISTRY[cheap], names=(cheap,))
    if cheap != "auto":
        return _with_others(costly, cheap, _build(_settings(cheap)), settings)
    found, reasons = {}, []
    for name in USUAL:
        if _is_itself(name, settings):
            reasons.append(f"{name} is the calculator itself")
            continue
        try:
            found[name] = _build(_settings(name))
        except InputError as error:
            reasons.append(str(error))
    if not found:
        raise InputError(f"cheap auto: none can be used here ({'; '.join(reasons)})")

    def n_lacking(name: str) -> int:
        return sum(map(bool, registry.lacking(Paired(costly, found[name]), molecules)))

    best = min(found, key=n_lacking)
    return _with_others(costly, best, found[best], settings)


def _with_others(
    costly: Calculator, name: str, cheap: Calculator, settings: CalculatorSettings | None
) -> Paired:
    """The pair, with those that can be used here in place of the cheap one."""
    others: dict[str, Calculator] = {}
    own = _about(_settings(name))
    for other in INSTEAD:
        if other in WITHOUT_CHEMISTRY:
            others[other] = WITHOUT_CHEMISTRY[other]
        elif _about(_settings(other)) != own and not _is_itself(other, settings):
            with suppress(InputError):
                others[other] = _build(_settings(other))
    return Paired(costly, cheap, tuple(others.values()), (name, *others))


def _is_itself(name: str, settings: CalculatorSettings | None) -> bool:
    """Whether a cheap potential is the costly one; unknown, and so not, of one made by hand."""
    return settings is not None and _about(_settings(name)) == _about(settings)


def _about(settings: CalculatorSettings) -> object:
    """What tells one potential from another; of tblite its method, however it is told the rest."""
    if settings.calculator == "ase" and settings.ase_calculator == _TBLITE:
        return settings.ase_options.get("method", "GFN2-xTB")
    return registry.identity(settings)


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
        {"calculator": "ase", "ase_calculator": _TBLITE, "ase_options": options}
    )


def _build(settings: CalculatorSettings) -> Calculator:
    try:
        return registry.build(settings)
    except (ValueError, ImportError) as error:
        raise InputError(f"the cheap potential: {error}") from None
