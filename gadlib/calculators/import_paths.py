"""ASE calculators by their import path: imported, made with options, and kept for the process."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import json
from functools import lru_cache
from typing import Any

from gadlib.calculators.unused import Unused, is_calculator, is_calculator_class
from gadlib.progress.interrupts import outlived
from gadlib.settings.reading import InputError

KNOWN = {
    "tblite.ase:TBLite": "tblite",
    "mace.calculators:MACECalculator": "mace-torch",
    "ase.calculators.emt:EMT": "ase",
}
"""Some import paths, each with the package that brings it; any other class will do as well."""

FACTORIES = {
    "mace.calculators:mace_mp": "mace-torch",
    "mace.calculators:mace_off": "mace-torch",
}
"""The functions that may be called for a calculator; no others are, whatever a path names."""


@lru_cache(maxsize=16)  # one for each charge and multiplicity where these are options
def built(path: str, options: str) -> Unused:
    """The ASE calculator, one per process: building one may mean to load a large model."""
    return made(path, options)


def made(path: str, options: str) -> Unused:
    """A new ASE calculator, with options as JSON.

    Raises:
        InputError: when it can't be imported or constructed; the message says why.
    """
    kind, values = _imported(path), json.loads(options)
    known = getattr(kind, "default_parameters", {})
    for name in values:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if near and name not in known:
            raise InputError(f"ase_options: {path} has no {name}; did you mean {near[0]}?")
    if "verbosity" in known:
        values.setdefault("verbosity", 0)  # else it prints every iteration
    try:
        with outlived():
            calculator = kind(**values)
    except Exception as error:  # foreign code may raise anything
        raise InputError(
            f"ase_options {values}: {path} can't be made with them ({in_a_line(error)})"
        ) from None
    if not is_calculator(calculator):
        raise InputError(f"ase_calculator {path!r}: it made {calculator!r}, no ASE calculator")
    return Unused(calculator, lambda: kind(**values))


def found() -> list[str]:
    """Those of the known import paths whose package is installed."""
    return [path for path in KNOWN if importlib.util.find_spec(path.split(".")[0]) is not None]


def _imported(path: str) -> Any:
    """The class, or one of the known functions, at the import path; nothing has been called."""
    package = (KNOWN | FACTORIES).get(path)
    hint = f"; pip install {package}" if package else ""
    kind = at_path(path, "ase_calculator", example=", ".join(KNOWN), hint=hint)
    if path not in FACTORIES and not is_calculator_class(kind):
        raise InputError(
            f"ase_calculator {path!r}: not an ASE calculator but {kind!r}; expected a class"
            f" derived from ASE's Calculator, or one of {', '.join(FACTORIES)}"
        )
    return kind


def at_path(path: str, setting: str, *, example: str, hint: str = "") -> Any:
    """What stands at an import path; nothing has been called.

    Args:
        path: as in MODULE:NAME.
        setting: that names it, for messages.
        example: what one looks like.
        hint: what is said besides where it can't be imported.

    Raises:
        InputError: when it is no such path, or there is nothing.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise InputError(f"{setting} {path!r}: expected MODULE:NAME, e.g. {example}")
    try:
        with outlived():
            return getattr(importlib.import_module(module), name)
    except AttributeError:
        raise InputError(f"{setting} {path!r}: {module} has no {name}") from None
    except Exception as error:  # a package that is there may still fail to load
        reason = f"can't be imported ({in_a_line(error)}){hint}"
        raise InputError(f"{setting} {path!r}: {reason}") from None


def in_a_line(error: Exception) -> str:
    """The error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
