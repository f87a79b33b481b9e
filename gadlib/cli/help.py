"""The help of the command line: an overview of the commands, and of each its examples."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from gadlib.cli.colour import Colour, is_coloured, painted
from gadlib.cli.commands.table import GROUPS, Command

_PURPOSE = """\
Transition states of molecules: found from a guess or from the reactions of a set, proved by an
exact Hessian, followed downhill to what they join."""
_FIRST = (
    "gadlib search guess.xyz --out saddle.json",
    "gadlib irc saddle.json",
    "gadlib export saddle.json --to molden",
)
_ATOMS = "Atoms count from 0, as in ASE: C0 is the first of the file, H3 the fourth."
_WIDTH = 96
_COLUMN = 14


class Parser(argparse.ArgumentParser):
    """A parser whose help keeps the lines of its description and examples, with colour.

    It takes no beginnings of flags: `--out` would be `--out-dir` where a command has no other.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **options)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore
        """What was given; of an unknown flag the one that was probably meant is told."""
        options, rest = self.parse_known_args(args, namespace)
        if rest:
            (commands,) = (a for a in self._actions if isinstance(a, argparse._SubParsersAction))
            this = commands.choices.get(options.command, self)
            known = this._option_string_actions
            flag = rest[0].partition("=")[0]
            near = [one for one in known if one.startswith(flag)]
            near = near or difflib.get_close_matches(flag, known, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            this.error(f"unrecognized arguments: {' '.join(rest)}{meant}")
        return options

    def print_help(self, file: Any = None) -> None:
        """The help, in colour where it goes to a terminal."""
        stream = sys.stdout if file is None else file
        text = self.format_help()
        self._print_message(_coloured(text, stream) if is_coloured(stream) else text, stream)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Flags and their values have a column of thirty characters."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def overview(commands: Mapping[str, Command]) -> str:
    """What the commands do, by what they are for, and where to begin."""
    parts = [_PURPOSE]
    for group, title in GROUPS.items():
        rows = [_row(name, each.doc) for name, each in commands.items() if each.group == group]
        parts.append("\n".join([f"{title}:", *rows]))
    parts.append("\n".join(["to begin with:", *(f"  {line}" for line in _FIRST)]))
    parts.append("`gadlib COMMAND --help` says what a command takes, with examples.")
    return "\n\n".join(parts)


def _row(name: str, doc: str) -> str:
    """A command and what it does, in as many lines as that needs."""
    return textwrap.fill(
        doc,
        _WIDTH,
        initial_indent=f"  {name:<{_COLUMN - 2}}",
        subsequent_indent=" " * _COLUMN,
    )


def usage_of(name: str, command: Command) -> str:
    """How the command is called; flags, of which there are many, are below."""
    places = [
        f"[{shown}]" if argument.options.get("nargs") == "?" else shown
        for argument in command.arguments
        if not argument.name.startswith("-")
        for shown in [argument.options.get("metavar", argument.name)]
    ]
    return " ".join(["gadlib", name, *places, "[flags]"])


def description_of(name: str, command: Command) -> str:
    """What the command does, and how atoms count where it takes or tells their numbers."""
    purpose = f"gadlib {name}: {command.doc}{'' if command.doc.endswith('?') else '.'}"
    has_atoms = "mode" in command.kind.model_fields or command.group == "follow"
    return f"{purpose}\n\n{_ATOMS}" if has_atoms else purpose


def examples_of(command: Command) -> str:
    """The examples of a command, each under what it is for."""
    shown = [f"  # {what}\n  gadlib {line}" for line, what in command.examples]
    return "\n".join(["examples:", *shown])


def _coloured(text: str, stream: Any) -> str:
    """The help with bold headings, and flags and commands in colour."""
    text = re.sub(r"^\S.*:$", lambda m: painted(m[0], Colour.BOLD, stream), text, flags=re.M)
    text = re.sub(r"^  gadlib .*$", lambda m: painted(m[0], Colour.GREEN, stream), text, flags=re.M)
    return re.sub(
        r"(?<=^  )-\S+|(?<=, )--[\w-]+(?= )|(?<=^  )[a-z]+(?=  )",
        lambda m: painted(m[0], Colour.CYAN, stream),
        text,
        flags=re.M,
    )
