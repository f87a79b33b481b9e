"""The calculator of what goes on from earlier results: as given, else as their file says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from gadlib.calculators import NAMES
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import Settings, shown

S = TypeVar("S", bound=CalculatorSettings)
T = TypeVar("T", bound=Settings)


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
    told = ", ".join(f"{n} {shown(v)}" for n, v in taken.items() if v != default_of(n))
    return take(settings, taken, path, told or "the default calculator")


def take(settings: T, taken: Mapping[str, Any], path: str | Path, told: str = "") -> T:
    """The settings with values of an earlier file, which is said on stderr; given ones stay given.

    Args:
        settings: of a run.
        taken: by name.
        path: of the file.
        told: what is said of it; empty: all names and values.

    Raises:
        InputError: when a value can't be used.
    """
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    found = type(settings).read(given | dict(taken))
    told = told or ", ".join(f"{name} {shown(value)}" for name, value in taken.items())
    print(f"as in {path}: {told}", file=sys.stderr, flush=True)
    return found


def default_of(name: str) -> Any:
    """The default of a setting of the calculator; None of the calculator itself."""
    return None if name == "calculator" else CalculatorSettings.model_fields[name].get_default()
