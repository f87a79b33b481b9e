"""Colour, on a terminal alone, and not where the variable NO_COLOR asks for none."""

from __future__ import annotations

import os
from enum import Enum
from typing import Any


class Colour(Enum):
    """What terminals know since ever (ECMA-48), so that their own schemes apply."""

    BOLD = "1"
    RED = "31"
    GREEN = "32"
    CYAN = "36"


def is_coloured(stream: Any) -> bool:
    """Whether the stream is a terminal that may have colour (https://no-color.org)."""
    is_refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not is_refused and hasattr(stream, "isatty") and stream.isatty()


def painted(text: str, colour: Colour, stream: Any) -> str:
    """The text in that colour, where the stream has any."""
    return f"\x1b[{colour.value}m{text}\x1b[0m" if is_coloured(stream) else text
