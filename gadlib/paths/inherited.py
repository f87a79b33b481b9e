"""The calculator of what is followed: as the settings say, else as the file of its results does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from gadlib.calculators import NAMES
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import shown
from gadlib.settings.results import PathSettings

S = TypeVar("S", bound=CalculatorSettings)
P = TypeVar("P", bound=PathSettings)


def is_result_file(path: str | Path) -> bool:
    """Whether a file is one that gadlib has written, by its suffix; others hold geometries."""
    return Path(path).suffix == ".json"


def inherit_calculator(settings: S, earlier: Mapping[str, Any], path: str | Path) -> S:
    """The settings, with the calculator that a file of results was made with where none is given.

    What is taken from the file is said on stderr. Nothing is where another calculator is given, or
    an option of another; nor ever where something is computed, or whether a checkpoint is trusted.

    Args:
        settings: of a run; what was given in them stays.
        earlier: the settings in the file.
        path: of the file.
    """
    kind = type(settings)
    name = earlier.get("calculator")
    if name not in NAMES:
        return settings
    given = {
        n
        for n in settings.model_fields_set
        if n in CalculatorSettings.model_fields and kind.extra(n).get("changes_results", True)
    }
    owners = {str(kind.extra(n).get("of")) for n in given if kind.extra(n).get("of")}
    if (settings.calculator != name and "calculator" in given) or owners - {name}:
        return settings
    own = ["calculator", *CalculatorSettings.options_of(name)]
    taken = {
        n: earlier[n]
        for n in own
        if n in earlier and n not in given and kind.extra(n).get("changes_results", True)
    }
    if all(getattr(settings, n) == value for n, value in taken.items()):
        return settings
    told = ", ".join(f"{n} {shown(v)}" for n, v in taken.items() if v != _default(n))
    print(f"as in {path}: {told or 'the default calculator'}", file=sys.stderr, flush=True)
    return kind.read({n: getattr(settings, n) for n in settings.model_fields_set} | taken)


def inherit_cheap(settings: P, earlier: Mapping[str, Any], path: str | Path) -> P:
    """The settings, with the cheap potential that the saddles of a file were found on.

    It is said on stderr. Nothing is taken where a cheap potential is given, where the searches had
    none or the calculator is another now, and where a temperature or a pressure is given: what
    these ask for takes Hessians.

    Args:
        settings: of a run.
        earlier: the settings in the file.
        path: of the file.
    """
    kind, cheap = SOLVERS.get(str(earlier.get("solver"))), earlier.get("cheap")
    is_used = kind is not None and kind.needs_cheap and isinstance(cheap, str) and cheap != "none"
    if not is_used or settings.model_fields_set & {"cheap", "temperature", "pressure"}:
        return settings
    own = ["calculator", *CalculatorSettings.options_of(settings.calculator)]
    changing = [n for n in own if type(settings).extra(n).get("changes_results", True)]
    if any(getattr(settings, n) != earlier.get(n, _default(n)) for n in changing):
        return settings
    print(f"as in {path}: cheap {shown(cheap)}", file=sys.stderr, flush=True)
    given = {n: getattr(settings, n) for n in settings.model_fields_set}
    return type(settings).read(given | {"cheap": cheap})


def _default(name: str) -> Any:
    return None if name == "calculator" else CalculatorSettings.model_fields[name].get_default()
