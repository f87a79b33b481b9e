"""What the declaration of a command is: its settings, its arguments, what it runs.

Which are declared stands in the modules beside this one, a module for each topic.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gadlib.settings.reading import Settings


class Command(NamedTuple):
    """A command.

    Attributes:
        run: called with the settings and all that was given; what it returns is the exit status,
            None stands for 0. Its docstring is the command's help.
        kind: of settings, each a flag.
        arguments: what may be given besides, as argparse takes it: names and options.
    """

    run: Callable[[Any, argparse.Namespace], int | None]
    kind: type[Settings]
    arguments: Sequence[tuple[str, dict[str, Any]]]

    @property
    def doc(self) -> str:
        """What it does, in one line."""
        doc = (self.run.__doc__ or "").rstrip(".")
        return doc[:1].lower() + doc[1:]

    @property
    def is_resumable(self) -> bool:
        """Whether what is done is written as it is done, and gone on with."""
        return {"resume", "out_dir"} <= self.kind.model_fields.keys()


COMMANDS: dict[str, Command] = {}


def command(name: str, kind: type[Settings], *arguments: tuple[str, dict[str, Any]]) -> Callable:
    """A decorator that declares a command."""

    def declare(run: Callable[[Any, argparse.Namespace], int | None]) -> Callable:
        COMMANDS[name] = Command(run, kind, arguments)
        return run

    return declare


def argument(name: str, **options: Any) -> tuple[str, dict[str, Any]]:
    """What may be given to a command besides its settings, with the options of `add_argument`."""
    return name, options


QUIET = argument(
    "--quiet",
    action="store_true",
    help="neither a bar nor a line for each molecule, only what comes at the end",
)
"""Of commands that tell of each molecule as it ends."""
