"""Completion in a shell by argcomplete: commands, flags, words of settings, names of files.

A shell asks with the variable _ARGCOMPLETE set; nothing here is imported otherwise.
"""

from __future__ import annotations

import argparse
import os
from typing import Any


def answer(parser: argparse.ArgumentParser) -> None:
    """Where a shell asks, print what may follow, and end the process; else nothing."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    for each in _parsers(parser):
        for action in each._actions:
            action.completer = completer(action)  # pyright: ignore[reportAttributeAccessIssue]
    argcomplete.autocomplete(parser, always_complete_options=False)


def _parsers(parser: argparse.ArgumentParser) -> list[Any]:
    """The parsers of the commands."""
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return list(commands.choices.values())


def completer(action: argparse.Action) -> Any:
    """What completes the value of a flag: its words, names of files like its form, or nothing."""
    from argcomplete.completers import DirectoriesCompleter, FilesCompleter

    form = str(action.metavar or "")
    if words := getattr(action, "words", ()) or action.choices:
        return lambda **_: words
    if form.startswith("FOLDER"):
        return DirectoriesCompleter()
    if form.startswith("FILE."):
        return FilesCompleter((form.removeprefix("FILE."),))
    return FilesCompleter() if form.startswith("FILE") else lambda **_: ()
