"""The command line, built from the table of commands, and how a command ends.

The numbers that it ends with are told in `exit_status`.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Any

from gadlib import __version__
from gadlib.cli.commands import COMMANDS
from gadlib.cli.completion import answer
from gadlib.cli.exit_status import DONE, INTERRUPTED, TRY_AGAIN, UNUSABLE
from gadlib.cli.flags import add_flags, settings_of
from gadlib.cli.help import Parser, description_of, examples_of, overview, usage_of
from gadlib.files.writing import leave_no_empty_folder
from gadlib.settings.reading import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command line given, by default the process's own."""
    parser = build()
    answer(parser)
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return DONE
    options.given = sys.argv[1:] if arguments is None else list(arguments)
    command = COMMANDS[options.command]
    from gadlib.cluster.retries import StorageLostError  # not before --help has been answered
    from gadlib.evaluation import DeviceLostError

    signal.signal(signal.SIGTERM, interrupt)
    try:
        return command.run(settings_of(command.kind, options), options) or DONE
    except (InputError, DeviceLostError) as error:
        leave_no_empty_folder()
        status, reason = UNUSABLE, str(error)
    except StorageLostError as error:
        status, reason = TRY_AGAIN, str(error)
    except KeyboardInterrupt:
        kept = "; what was done is kept, --resume goes on" if command.is_resumable else ""
        status, reason = INTERRUPTED, f"interrupted{kept}"
    print(f"gadlib {options.command}: {reason}", file=sys.stderr)
    return status


def interrupt(*_: Any) -> None:
    """End what runs as Ctrl-C does; a handler of signals."""
    raise KeyboardInterrupt


def build() -> argparse.ArgumentParser:
    """The parser of all commands, with a flag for every setting and hyperparameter of each."""
    parser = Parser(prog="gadlib", usage="gadlib COMMAND ...", description=overview(COMMANDS))
    parser.add_argument("--version", action="version", version=f"gadlib {__version__}")
    parsers = parser.add_subparsers(
        prog="gadlib", dest="command", help=argparse.SUPPRESS, metavar="COMMAND"
    )
    for name, command in COMMANDS.items():
        this = parsers.add_parser(
            name,
            usage=usage_of(name, command),
            description=description_of(name, command),
            epilog=examples_of(command),
        )
        add_flags(this, command)
    return parser
