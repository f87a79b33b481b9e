"""What the declaration of a command is: its settings, its arguments, examples, what it runs.

Which are declared stands in the modules beside this one, a module for each topic.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gadlib.settings.reading import Settings

GROUPS = {
    "find": "find saddles",
    "follow": "follow them downhill",
    "tune": "tune the hyperparameters",
    "measure": "compare and measure",
    "look": "look at what there is",
}
"""What commands are for, in the order of the overview."""


class Argument(NamedTuple):
    """What may be given to a command besides its settings.

    Attributes:
        name: a flag with its dashes, or the name of what stands without one.
        topic: the heading of a flag in the help, one of `gadlib.settings.topics.TOPICS`.
        options: as `add_argument` takes them.
    """

    name: str
    topic: str
    options: dict[str, Any]


class Example(NamedTuple):
    """A command line, without `gadlib` before it, and what it is for."""

    line: str
    what: str


class Command(NamedTuple):
    """A command.

    Attributes:
        run: called with the settings and all that was given; what it returns is the exit status,
            None stands for 0. Its docstring is the command's help.
        kind: of settings, each a flag.
        arguments: what may be given besides.
        group: what it is for, one of `GROUPS`.
        examples: at least two.
        of_file: settings whose defaults hold instead where a file of geometries is given.
    """

    run: Callable[[Any, argparse.Namespace], int | None]
    kind: type[Settings]
    arguments: Sequence[Argument]
    group: str
    examples: Sequence[Example]
    of_file: type[Settings] | None = None

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


def command(
    name: str,
    kind: type[Settings],
    *arguments: Argument,
    group: str,
    examples: Sequence[tuple[str, str]],
    of_file: type[Settings] | None = None,
) -> Callable:
    """A decorator that declares a command: arguments as the attributes of `Command`.

    Each example is a command line and what it is for.
    """

    def declare(run: Callable[[Any, argparse.Namespace], int | None]) -> Callable:
        shown = [Example(*example) for example in examples]
        COMMANDS[name] = Command(run, kind, arguments, group, shown, of_file)
        return run

    return declare


def argument(name: str, *, topic: str = "output", **options: Any) -> Argument:
    """What may be given to a command besides its settings, with the options of `add_argument`."""
    return Argument(name, topic, options)


QUIET = argument(
    "--quiet",
    action="store_true",
    help="neither a bar nor a line for each molecule, only what comes at the end",
)
"""Of commands that tell of each molecule as it ends."""
