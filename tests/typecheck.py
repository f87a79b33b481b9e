"""The runtime type checker of the tests: beartype, where an int is a float, as PEP 484 has it.

It enforces the shapes of arrays. Functions and dataclasses that name no array stay as they are:
pyright checks their types, and to wrap one costs milliseconds, a closure's each time it is made.

What a check answers depends on the types, shapes and kinds of numbers of what comes in and goes
out. Each combination of them is checked once for a function: to check every call of a search took
more time than the search.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import threading
from collections.abc import Callable, Hashable
from functools import partial, update_wrapper, wraps
from types import FunctionType
from typing import Any

import jaxtyping
import numpy as np
import torch
from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

_ARRAY = re.compile(r"\b(?:Float|Int|Bool|Shaped|Num)\[")


def check_arrays_alone() -> None:
    """Let jaxtyping's import hook wrap only what names an array."""
    jaxtyping.jaxtyped = partial(partial, _of_arrays, jaxtyping.jaxtyped)


def _of_arrays(wrap: Callable, defined: Any, *, typechecker: Callable) -> Any:
    if not _names_an_array(defined):
        return defined
    of_function = partial(_once_each, partial(wrap, typechecker=typechecker))
    if isinstance(defined, property):
        return property(*(f and of_function(f) for f in (defined.fget, defined.fset, defined.fdel)))
    if isinstance(defined, classmethod | staticmethod):
        return type(defined)(of_function(defined.__func__))
    if inspect.isclass(defined):
        if dataclasses.is_dataclass(defined) and "__init__" in vars(defined):
            defined.__init__ = of_function(defined.__init__)
        return defined
    return of_function(defined)


def _once_each(wrap: Callable, function: Callable) -> Callable:
    """The function, checked once with values of each kind and with each kind of result.

    Where a value is part of a shape, as in "{n}", each call is checked.
    """
    checked = wrap(function)
    if any("{" in str(annotation) for annotation in function.__annotations__.values()):
        return checked
    given_before: set[Hashable] = set()
    known: set[Hashable] = set()
    result = _Result(wrap, function)

    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        given = (_kind(args), _kind(named) if named else None)
        if given in given_before:
            out = function(*args, **named)
            if (given, kind := _kind(out)) not in known:
                result.check(out, args, named)
                known.add((given, kind))
            return out
        out = checked(*args, **named)
        given_before.add(given)
        known.add((given, _kind(out)))
        return out

    return called


class _Result:
    """The check of what a function has returned, together with what it was given."""

    def __init__(self, wrap: Callable, function: Callable) -> None:
        self.wrap, self.function = wrap, function
        self.lock, self.out = threading.Lock(), None
        self.checked: Callable | None = None

    def check(self, out: Any, args: tuple, named: dict[str, Any]) -> None:
        """Raise as the checked function would."""
        with self.lock:
            if self.checked is None:
                # Names in its annotations are looked up in the globals of the function's module.
                give = lambda *_, **__: self.out  # noqa: E731
                stand_in = FunctionType(
                    give.__code__, self.function.__globals__, closure=give.__closure__
                )
                self.checked = self.wrap(update_wrapper(stand_in, self.function))
            self.out = out
            try:
                self.checked(*args, **named)
            finally:
                self.out = None


def _kind(value: Any) -> Hashable:
    """All of a value that the answer of a check may depend on."""
    kind = type(value)
    if kind is torch.Tensor or kind is np.ndarray:
        return kind, value.shape, value.dtype
    if kind is str or kind is bool:
        return kind, value
    if isinstance(value, tuple):
        return kind, *map(_kind, value)
    if isinstance(value, dict):
        return kind, frozenset((_kind(k), _kind(v)) for k, v in value.items())
    if isinstance(value, list | set | frozenset):
        return kind, frozenset(map(_kind, value))
    if isinstance(value, torch.Tensor | np.ndarray):
        return kind, value.shape, value.dtype
    return kind


def _names_an_array(defined: Any) -> bool:
    if isinstance(defined, property):
        return any(map(_names_an_array, (defined.fget, defined.fset)))
    if dataclasses.is_dataclass(defined):
        annotations = [field.type for field in dataclasses.fields(defined)]
    else:
        function = getattr(defined, "__func__", defined)  # of a class or static method
        annotations = list(getattr(function, "__annotations__", {}).values())
    return any(_ARRAY.search(str(annotation)) for annotation in annotations)
