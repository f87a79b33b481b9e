"""Flags derived from settings and hyperparameters, and the settings that given flags make.

None is declared here: a new setting or hyperparameter is a flag at once.
"""

from __future__ import annotations

import argparse
import typing
from typing import Any

from gadlib.settings.declarations import Choice, Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import Settings

_WITHOUT_FLAG = ("hyperparameters", "ranges", "records")
_SHORT = {"n_steps_per_sample": "--n-steps"}


def add_flags(parser: argparse.ArgumentParser, kind: type[Settings]) -> None:
    """Give the parser a flag for every setting of that kind, and hyperparameter if it has them."""
    for name, field in kind.model_fields.items():
        if name in _WITHOUT_FLAG:
            continue
        flags = [_flag(name), *([_SHORT[name]] if name in _SHORT else [])]
        if field.annotation is bool:
            parser.add_argument(*flags, action="store_true", help=field.description)
        else:
            shown = f"{field.description} (default {field.default})"
            _add(parser, *flags, dest=name, type=_type(field.annotation), help=shown)
    if "ranges" in kind.model_fields:
        parser.add_argument(
            "--range",
            dest="ranges",
            action="append",
            type=_range,
            metavar="NAME=LOW:HIGH",
            help=f"{kind.model_fields['ranges'].description}; may be repeated",
        )
    if "hyperparameters" in kind.model_fields:
        group = parser.add_argument_group("hyperparameters")
        numbers, choices = _declared()
        for number in numbers.values():
            _add_number(group, number)
        for choice in choices.values():
            shown = f"{choice.doc} (default {choice.default})"
            group.add_argument(_flag(choice.name), choices=choice.values, help=shown)


def _declared() -> tuple[dict[str, Hyperparameter], dict[str, Choice]]:
    """The hyperparameters of all solvers by name: numbers, and choices."""
    solvers = SOLVERS.values()
    numbers = {number.name: number for solver in solvers for number in solver.tunable()}
    return numbers, {choice.name: choice for solver in solvers for choice in solver.choices()}


def _add_number(group: Any, number: Hyperparameter) -> None:
    """Add the flag of a hyperparameter, and those that published scripts know it by."""
    shown = f"{number.doc}; {number.range_text} (default {number.default:g})"
    action = _Once if number.aliases else "store"
    _add(group, _flag(number.name), action=action, type=number.type, help=shown)
    for alias, bare in number.aliases.items():
        optional = {} if bare is None else {"nargs": "?", "const": bare}
        shown = f"{_flag(number.name)} as published scripts call it"
        given = {"dest": number.name, "action": _Once, "type": number.type, "help": shown}
        _add(group, _flag(alias), **given, **optional)


def _add(parser: Any, *flags: str, **options: Any) -> None:
    parser.add_argument(*flags, default=None, metavar="X", **options)


class _Once(argparse.Action):
    """Keeps a value under the name of its hyperparameter, which may not have been given already."""

    def __call__(
        self, parser: Any, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, f"the same as {_flag(self.dest)}: expected one")
        setattr(namespace, self.dest, values)


def _range(text: str) -> tuple[str, list[float]]:
    name, _, span = text.partition("=")
    try:
        low, high = (float(part) for part in span.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected NAME=LOW:HIGH, as in escape_delta=0.01:1.0"
        ) from None
    return name.replace("-", "_"), [low, high]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _type(annotation: Any) -> type:
    if typing.get_origin(annotation) is dict:
        return str  # JSON, which the settings read
    parts = typing.get_args(annotation) or (annotation,)
    return next(part for part in parts if part is not type(None))


def settings_of(kind: type[Settings], options: argparse.Namespace) -> Any:
    """The settings of that kind that the flags ask for.

    Raises:
        InputError: when a value can't be used.
    """
    given = {name: value for name, value in vars(options).items() if value is not None}
    if "ranges" in given:
        given["ranges"] = dict(given["ranges"])
    values = {name: given[name] for name in kind.model_fields if name in given}
    if "hyperparameters" in kind.model_fields:
        numbers, choices = _declared()
        chosen = {name: given[name] for name in (*numbers, *choices) if name in given}
        values |= {"hyperparameters": chosen} if chosen else {}
    return kind.read(values)
