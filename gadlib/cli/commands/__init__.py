"""The commands, each declared once; help, flags and dispatch are derived from that.

Each calls what a notebook calls and prints what came of it; what it needs is imported when it runs.
"""

from gadlib.cli.commands import downhill, exporting, looking, measuring, saddles, tuning
from gadlib.cli.commands.table import COMMANDS

__all__ = ["COMMANDS", "downhill", "exporting", "looking", "measuring", "saddles", "tuning"]
