"""What a file of saddles says of how they are followed, where the settings do not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from gadlib.screening.inherited import default_of, take
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.results import PathSettings

P = TypeVar("P", bound=PathSettings)


def is_result_file(path: str | Path) -> bool:
    """Whether a file is one that gadlib has written, by its suffix; others hold geometries."""
    return Path(path).suffix == ".json"


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
    if any(getattr(settings, n) != earlier.get(n, default_of(n)) for n in changing):
        return settings
    return take(settings, {"cheap": cheap}, path)
