"""The runtime type checker of the tests: beartype, where an int is a float, as PEP 484 has it.

It enforces the shapes of arrays. Functions and dataclasses that name no array stay as they are:
pyright checks their types, and to wrap one costs milliseconds, a closure's each time it is made.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

_ARRAY = re.compile(r"\b(?:Float|Int|Bool|Shaped|Num)\[")


def check_arrays_alone() -> None:
    """Let jaxtyping's import hook wrap only what names an array."""
    jaxtyping.jaxtyped = partial(partial, _of_arrays, jaxtyping.jaxtyped)


def _of_arrays(wrap: Callable, defined: Any, *, typechecker: Callable) -> Any:
    return wrap(defined, typechecker=typechecker) if _names_an_array(defined) else defined


def _names_an_array(defined: Any) -> bool:
    if isinstance(defined, property):
        return any(map(_names_an_array, (defined.fget, defined.fset)))
    if dataclasses.is_dataclass(defined):
        annotations = [field.type for field in dataclasses.fields(defined)]
    else:
        function = getattr(defined, "__func__", defined)  # of a class or static method
        annotations = list(getattr(function, "__annotations__", {}).values())
    return any(_ARRAY.search(str(annotation)) for annotation in annotations)
