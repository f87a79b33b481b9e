"""Flags derived from settings and hyperparameters, and the settings that given flags make.

None is declared here: a new setting or knob is a flag at once. Floor 8.
"""

from __future__ import annotations

import argparse
import typing
from collections.abc import Callable
from typing import Any

from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import Settings


def add_command(
    parsers: Any,
    name: str,
    command: Callable[[argparse.Namespace], int],
    kind: type[Settings],
    doc: str,
) -> argparse.ArgumentParser:
    """The parser of one command, with a flag for every setting and hyperparameter it takes."""
    parser = parsers.add_parser(name, help=doc, description=f"gadlib {name}: {doc}.")
    for field_name, field in kind.model_fields.items():
        if field_name in ("hyperparameters", "ranges", "records"):
            continue
        flags = [_flag(field_name)] + (["--n-steps"] if field_name == "n_steps_per_sample" else [])
        shown = f"{field.description} (default {field.default})"
        if field.annotation is bool:
            parser.add_argument(*flags, action="store_true", help=field.description)
        else:
            parser.add_argument(
                *flags,
                dest=field_name,
                type=_type(field.annotation),
                default=None,
                metavar="X",
                help=shown,
            )
    parser.set_defaults(command=command)
    if "ranges" in kind.model_fields:
        parser.add_argument(
            "--range",
            dest="ranges",
            action="append",
            type=_range,
            metavar="KNOB=LOW:HIGH",
            help=f"{kind.model_fields['ranges'].description}; may be repeated",
        )
    if "hyperparameters" not in kind.model_fields:
        return parser
    knobs = parser.add_argument_group("hyperparameters")
    for knob in {
        knob.name: knob for solver in SOLVERS.values() for knob in solver.tunable()
    }.values():
        shown = f"{knob.doc}; {knob.range_text} (default {knob.default:g})"
        action = _Once if knob.aliases else "store"
        knobs.add_argument(
            _flag(knob.name), action=action, type=knob.type, default=None, metavar="X", help=shown
        )
        for alias, bare in knob.aliases.items():
            options = {} if bare is None else {"nargs": "?", "const": bare}
            knobs.add_argument(
                _flag(alias),
                dest=knob.name,
                action=_Once,
                type=knob.type,
                default=None,
                metavar="X",
                help=f"{_flag(knob.name)} as published scripts call it",
                **options,
            )
    for choice in (choice for solver in SOLVERS.values() for choice in solver.choices()):
        shown = f"{choice.doc} (default {choice.default})"
        knobs.add_argument(_flag(choice.name), choices=choice.values, default=None, help=shown)
    return parser


class _Once(argparse.Action):
    """Keeps a value under the name of its knob, which may not have been given already."""

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
            f"{text!r}: expected KNOB=LOW:HIGH, as in escape_delta=0.01:1.0"
        ) from None
    return name.replace("-", "_"), [low, high]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _type(annotation: Any) -> type:
    if typing.get_origin(annotation) is dict:
        return str  # JSON, which the settings read
    plain = [
        kind for kind in typing.get_args(annotation) or (annotation,) if kind is not type(None)
    ]
    return plain[0]


def settings_of(kind: type[Settings], options: argparse.Namespace) -> Any:
    """The settings of that kind that the flags ask for.

    Raises:
        InputError: when a value can't be used.
    """
    given = {k: v for k, v in vars(options).items() if v is not None}
    if "ranges" in given:
        given["ranges"] = dict(given["ranges"])
    names = {
        declared.name
        for solver in SOLVERS.values()
        for declared in (*solver.tunable(), *solver.choices())
    }
    values = {name: given[name] for name in kind.model_fields if name in given}
    is_taken = "hyperparameters" in kind.model_fields
    knobs = {name: given[name] for name in names - set(kind.model_fields) if name in given}
    knobs = knobs if is_taken else {}
    return kind.read(values | ({"hyperparameters": knobs} if knobs else {}))
