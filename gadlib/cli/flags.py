"""Flags derived from settings and hyperparameters, and the settings that given flags make.

None is declared here: a new setting or hyperparameter is a flag at once, under the heading of its
topic.
"""

from __future__ import annotations

import argparse
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gadlib.cli.commands.table import Argument, Command
from gadlib.settings.declarations import Choice, Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError, Settings
from gadlib.settings.topics import TOPICS

_WITHOUT_FLAG = ("hyperparameters", "ranges", "choices", "records")
_SHORT = {"n_steps_per_sample": "--n-steps"}

Add = Callable[[Any], None]
"""What adds a flag to the group of a parser."""


def add_flags(parser: argparse.ArgumentParser, command: Command) -> None:
    """Give the parser all that may be given to the command, a group for each topic.

    That is a flag for every setting, and for every hyperparameter where the settings have them.
    """
    found: dict[str, list[Add]] = {topic: [] for topic in TOPICS}
    for topic, add in (*_settings(command), *_hyperparameters(command.kind)):
        found[topic].append(add)
    for argument in command.arguments:
        if argument.name.startswith("-"):
            found[argument.topic].append(_added(argument))
        else:
            _added(argument)(parser)
    for topic, adds in found.items():
        group = parser.add_argument_group(TOPICS[topic]) if adds else None
        for add in adds:
            add(group)


def _added(argument: Argument) -> Add:
    return lambda group: group.add_argument(argument.name, **argument.options)


def _settings(command: Command) -> Iterator[tuple[str, Add]]:
    """The topic of each setting, and what adds its flag."""
    kind = command.kind
    for name, field in kind.model_fields.items():
        if name not in _WITHOUT_FLAG:
            default = (command.of_file or kind).model_fields[name].default
            of_file = default if default != field.default else None
            yield kind.topic_of(name), _setting(kind, name, of_file)
    if "ranges" in kind.model_fields:
        yield kind.topic_of("ranges"), _repeated(kind, "ranges", "--range", _range, "LOW:HIGH")
    if "choices" in kind.model_fields:
        yield kind.topic_of("choices"), _repeated(kind, "choices", "--choice", _words, "A,B,...")
    if "ranges" in kind.model_fields:
        yield kind.topic_of("ranges"), _fix


def _fix(group: Any) -> None:
    """Add the flag that gives what might be drawn one value; a flag of its own gives the same."""
    group.add_argument(
        "--fix",
        action="extend",
        type=_fixed,
        metavar="NAME=VALUE,...",
        help="values that are the same in all trials, of hyperparameters, or mode and start_from:"
        " the same as a flag of each, as --try-steps 150; may be repeated",
    )


def _setting(kind: type[Settings], name: str, of_file: Any) -> Add:
    field, extra = kind.model_fields[name], kind.extra(name)
    flags = [_flag(name), *([_SHORT[name]] if name in _SHORT else [])]
    if field.annotation is bool:
        return lambda group: group.add_argument(
            *flags, dest=name, action="store_true", default=None, help=field.description
        )
    of = _type(field.annotation)
    unit = extra.get("unit", "")
    shown = f"{field.description}{_default_in_words(field.default, unit, of_file)}"
    form = extra.get("form") or unit or _form(of, extra.get("words", ()))
    words = extra.get("words", ())
    return lambda group: _add(group, *flags, dest=name, type=of, help=shown, form=form, words=words)


def _default_in_words(default: Any, unit: str = "", of_file: Any = None) -> str:
    """The default in brackets, and that of a FILE; of none, which is explained, nothing."""
    if default in (None, "", {}):
        return ""
    number = f"{default:g}" if isinstance(default, float) else str(default)
    other = "" if of_file is None else f", of a FILE {of_file}"
    return f" (default {f'{number} {unit}'.strip()}{other})"


def _form(of: type, words: Sequence[str]) -> str:
    """What a value without unit looks like."""
    if words:
        return f"{{{','.join(words)}}}"
    return {int: "N", float: "X"}.get(of, "TEXT")


def _repeated(
    kind: type[Settings], name: str, flag: str, read: Callable[[str], Any], form: str
) -> Add:
    """What adds the flag of a setting that has something by name, and is given once for each."""
    return lambda group: group.add_argument(
        flag,
        dest=name,
        action="append",
        type=read,
        metavar=f"NAME={form}",
        help=f"{kind.model_fields[name].description}; may be repeated",
    )


def _hyperparameters(kind: type[Settings]) -> Iterator[tuple[str, Add]]:
    """The solver of each hyperparameter, and what adds its flags; of several solvers the first."""
    if "hyperparameters" not in kind.model_fields:
        return
    seen = set()
    for solver, declared in SOLVERS.items():
        for one in (*declared.tunable(), *declared.choices()):
            if one.name not in seen:
                seen.add(one.name)
                yield solver, _number(one) if isinstance(one, Hyperparameter) else _choice(one)


def _choice(choice: Choice) -> Add:
    shown = f"{choice.doc} (default {choice.default})"
    return lambda group: group.add_argument(_flag(choice.name), choices=choice.values, help=shown)


def _number(number: Hyperparameter) -> Add:
    """What adds the flag of a hyperparameter, and those that published scripts know it by."""
    shown = f"{number.doc}; {number.range_text}{_default_in_words(float(number.default))}"
    form = number.unit or _form(number.type, ())
    action = _Once if number.aliases else "store"

    def add(group: Any) -> None:
        _add(group, _flag(number.name), action=action, type=number.type, help=shown, form=form)
        for alias, bare in number.aliases.items():
            optional = {} if bare is None else {"nargs": "?", "const": bare}
            shown_too = f"{_flag(number.name)} as published scripts call it"
            given = {"dest": number.name, "action": _Once, "type": number.type, "help": shown_too}
            _add(group, _flag(alias), form=form, **given, **optional)

    return add


def _add(group: Any, *flags: str, form: str, words: Sequence[str] = (), **options: Any) -> None:
    """Add a flag whose value looks like the form, and may be one of the words, for completion."""
    action = group.add_argument(
        *flags, default=None, metavar=form, **{**options, "help": _plain(options["help"])}
    )
    action.words = words


def _plain(text: str) -> str:
    """The text as argparse prints it, to which a per cent sign is a command."""
    return text.replace("%", "%%")


def _declared() -> tuple[dict[str, Hyperparameter], dict[str, Choice]]:
    """The hyperparameters of all solvers by name: numbers, and choices."""
    solvers = SOLVERS.values()
    numbers = {number.name: number for solver in solvers for number in solver.tunable()}
    return numbers, {choice.name: choice for solver in solvers for choice in solver.choices()}


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


def _words(text: str) -> tuple[str, list[str]]:
    name, _, words = text.partition("=")
    found = [word.strip() for word in words.split(",")]
    if not name or not all(found):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected NAME=A,B,..., as in mode=lowest,reaction"
        )
    return name.replace("-", "_"), found


def _fixed(text: str) -> list[tuple[str, Any]]:
    """Names and values, of which one may hold commas, as of bonds."""
    parts: list[str] = []
    for part in text.split(","):
        if "=" in part or not parts:
            parts.append(part)
        else:
            parts[-1] += f",{part}"
    numbers, _ = _declared()
    of = {alias: number for number in numbers.values() for alias in (number.name, *number.aliases)}
    found = []
    for part in parts:
        name, _, value = part.partition("=")
        name, value = name.strip().replace("-", "_"), value.strip()
        try:
            number = of.get(name)
            found.append((name, value) if number is None else (number.name, number.type(value)))
        except ValueError:
            value = ""
        if not name or not value:
            raise argparse.ArgumentTypeError(f"{part!r}: expected NAME=VALUE, as in try_steps=150")
    return found


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
    given |= {name: dict(given[name]) for name in ("ranges", "choices") if name in given}
    fixed = given.get("fix", [])
    for i, (name, _) in enumerate(fixed):
        if name in given or name in dict(fixed[:i]):
            raise InputError(f"--fix {name}: has two values; expected one")
        if name in given.get("choices", {}):
            raise InputError(f"--fix {name}: has choices and one value; expected one of them")
    drawable = [name for name in kind.model_fields if kind.extra(name).get("is_drawable")]
    given |= {name: value for name, value in fixed if name in drawable}
    values = {name: given[name] for name in kind.model_fields if name in given}
    if "hyperparameters" in kind.model_fields:
        numbers, choices = _declared()
        chosen = {name: given[name] for name in (*numbers, *choices) if name in given}
        chosen |= {name: value for name, value in fixed if name not in drawable}
        values |= {"hyperparameters": chosen} if chosen else {}
    return kind.read(values)
