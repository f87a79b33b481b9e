"""What `help()` shows of settings and hyperparameters, written from their declarations."""

from __future__ import annotations

import inspect
import textwrap
import types
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

_WIDTH = 92
_ENDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


class Attribute(NamedTuple):
    """One value of a class, in words: its name, its type with range and default, its meaning."""

    name: str
    about: str
    doc: str


def document(kind: type, attributes: Iterable[Attribute]) -> None:
    """Append a section on the attributes to the docstring of a class."""
    lines = [
        textwrap.fill(
            f"{each.name} ({each.about}): {each.doc}",
            _WIDTH,
            initial_indent="    ",
            subsequent_indent="        ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for each in attributes
    ]
    own = inspect.cleandoc(kind.__doc__ or "")
    kind.__doc__ = "\n".join([*([own, ""] if own else []), "Attributes:", *lines])


def attribute_of(name: str, field: FieldInfo, limits: str = "", *, unit: str = "") -> Attribute:
    """What is declared of a field.

    Args:
        name: of the field.
        field: as pydantic has it.
        limits: its range in words; by default that of its constraints.
        unit: of that range.
    """
    limits = limits or f"{range_in_words(field)} {unit}".strip()
    default = f"default {field.get_default(call_default_factory=True)!r}"
    about = [type_in_words(field.annotation), limits, default]
    return Attribute(name, ", ".join(filter(None, about)), field.description or "")


def ends_of(field: FieldInfo) -> dict[str, Any]:
    """The ends of a number's range by the names of its constraints: `ge`, `gt`, `le`, `lt`."""
    return {n: getattr(m, n) for m in field.metadata for n in _ENDS if hasattr(m, n)}


def range_in_words(field: FieldInfo) -> str:
    """The range of a number as its constraints have it; empty where there is none."""
    ends = ends_of(field)
    shown = {n: f"{end:g}" if isinstance(end, float) else str(end) for n, end in ends.items()}
    if shown.keys() == {"ge", "le"}:
        return f"{shown['ge']} .. {shown['le']}"
    return ", ".join(f"{_ENDS[n]} {end}" for n, end in shown.items())


def type_in_words(annotation: Any) -> str:
    """The type of a value, as in `int or None`; of a choice, its values."""
    if get_origin(annotation) is Literal:
        return " or ".join(map(repr, get_args(annotation)))
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(map(type_in_words, get_args(annotation)))
    kind = get_origin(annotation) or annotation
    return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))
