"""ASE calculators as they were when they were made, for one geometry after the other.

Many begin with the wave function of the geometry before, held in attributes or in files, and may
end in another solution than a new one does: then a result depends on what was computed before. So
for each geometry the attributes are put back, and one that writes files gets an empty folder. What
can't be put back is built anew where that is possible. Neural networks are shared: an evaluation
changes nothing in them.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ase.calculators.abc import GetPropertiesMixin
from ase.calculators.calculator import BaseCalculator, FileIOCalculator
from ase.calculators.genericfileio import GenericFileIOCalculator

RESTARTS = {"tblite": ("_xtb", "_res"), "xtb": ("_xtb", "_res")}
"""Of a package's calculators the attributes with the last wave function, which can't be copied."""


class Unused:
    """A calculator that forgets what it has computed, whenever it is asked for.

    Args:
        source: the calculator.
        make: makes another one; None where nobody knows how, so that attributes that can't be
            copied are left as they are.
    """

    def __init__(self, source: Any, make: Callable[[], Any] | None = None) -> None:
        self.source = source
        self._make = make
        self._remember()
        self._is_rebuilt = make is not None and not self._attributes.are_whole

    @contextlib.contextmanager
    def taken(self) -> Iterator[Any]:
        """The calculator for one geometry, and the differences about it."""
        if self._is_rebuilt and self._make is not None:
            self.source = self._make()
        else:
            self._attributes.put_back()
            if hasattr(self.source, "reset"):
                self.source.reset()
        with _in_empty_folder(self.source):
            yield self.source

    def follow(self) -> None:
        """Keep the parameters that were set otherwise meanwhile, from now on."""
        now = dict(getattr(self.source, "parameters", None) or {})
        changed = {k: v for k, v in now.items() if repr(v) != self._parameters.get(k)}
        if changed and hasattr(self.source, "set"):
            self._attributes.put_back()
            self.source.set(**changed)
            self._remember()

    def _remember(self) -> None:
        _forget(self.source)
        self._attributes = _Attributes(self.source, keeps_counts=self._make is None)
        parameters = getattr(self.source, "parameters", None) or {}
        self._parameters = {name: repr(value) for name, value in dict(parameters).items()}


def writes_files(source: Any) -> bool:
    """Whether the calculator is a program that reads and writes files."""
    return isinstance(source, FileIOCalculator | GenericFileIOCalculator)


def is_calculator(source: Any) -> bool:
    """Whether this has ASE's interface."""
    return is_calculator_class(type(source))


def is_calculator_class(kind: Any) -> bool:
    """Whether this is a class whose objects have ASE's interface."""
    return isinstance(kind, type) and issubclass(kind, BaseCalculator | GetPropertiesMixin)


@contextlib.contextmanager
def _in_empty_folder(source: Any) -> Iterator[None]:
    """A program of files finds none of those that it wrote before, nor those of other processes."""
    if not writes_files(source):
        yield
        return
    before = source.directory
    parent = None if str(before) in ("", ".") else before
    if parent is not None:
        Path(parent).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix="gadlib-ase-", dir=parent, ignore_cleanup_errors=True
    ) as folder:
        source.directory = folder
        try:
            yield
        finally:
            source.directory = before


class _Attributes:
    """The attributes of a calculator at one time.

    Whoever made the calculator may count its calls in it: `keeps_counts` leaves integers alone.
    """

    def __init__(self, source: Any, *, keeps_counts: bool) -> None:
        self._source = source
        self._keeps_counts = keeps_counts
        self._shared: list[Any] = [source]
        self._copies: dict[str, bytes] = {}
        self._kept: dict[str, Any] = {}
        try:
            self._whole: bytes | None = self._written(vars(source))
        except Exception:  # whatever an object says that can't be copied, or has no attributes
            self._whole = None
            for name, value in getattr(source, "__dict__", {}).items():
                try:
                    self._copies[name] = self._written(value)
                except Exception:
                    self._kept[name] = value

    @property
    def are_whole(self) -> bool:
        """Whether all of them can be copied."""
        return self._whole is not None

    def put_back(self) -> None:
        """Give the calculator the attributes of then, and no others."""
        if self._whole is not None:
            values = self._read(self._whole)
        else:
            values = {name: self._read(copy) for name, copy in self._copies.items()} | self._kept
        if not hasattr(self._source, "__dict__"):
            return
        now = vars(self._source)
        if self._keeps_counts:
            values |= {name: value for name, value in now.items() if type(value) is int}
        now.clear()
        now.update(values)

    def _written(self, value: Any) -> bytes:
        file = io.BytesIO()
        pickler = pickle.Pickler(file, protocol=pickle.HIGHEST_PROTOCOL)
        pickler.persistent_id = self._place  # type: ignore[method-assign]
        pickler.dump(value)
        return file.getvalue()

    def _read(self, copy: bytes) -> Any:
        unpickler = pickle.Unpickler(io.BytesIO(copy))
        unpickler.persistent_load = self._shared.__getitem__  # type: ignore[method-assign]
        return unpickler.load()

    def _place(self, value: Any) -> int | None:
        """Where among the shared things this one is; None where it is to be copied."""
        if value is not self._source and not isinstance(value, _SHARED + _networks()):
            return None
        for place, one in enumerate(self._shared):
            if one is value:
                return place
        self._shared.append(value)
        return len(self._shared) - 1


_SHARED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


def _networks() -> tuple[type, ...]:
    torch = sys.modules.get("torch")
    return () if torch is None else (torch.nn.Module,)


def _forget(source: Any, depth: int = 3) -> None:
    """Drop known wave functions, from calculators within calculators too."""
    attributes = getattr(source, "__dict__", {})
    packages = {kind.__module__.partition(".")[0] for kind in type(source).__mro__}
    for name in [name for package in packages & RESTARTS.keys() for name in RESTARTS[package]]:
        attributes.pop(name, None)
    for value in list(attributes.values()) if depth else ():
        some = value.values() if isinstance(value, dict) else value
        for one in list(some) if isinstance(value, dict | list | tuple) else [value]:
            if is_calculator(one) or type(one).__module__ == "ase.calculators.mixing":
                _forget(one, depth - 1)
