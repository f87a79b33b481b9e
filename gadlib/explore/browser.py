"""What only the reader's browser can do: keep a text as a file there, put one on the clipboard."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import anywidget
import traitlets


class Browser(anywidget.AnyWidget):
    """A widget without looks, which has to be shown somewhere; its script is `browser.js`.

    Attributes:
        kept: the last file that was handed over, `name` and `text`; `copied` the last text.
    """

    _esm = Path(__file__).with_name("browser.js").read_text(encoding="utf-8")

    kept = traitlets.Dict().tag(sync=True)
    copied = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count()

    def keep(self, name: str, text: str) -> None:
        """Have the browser save a file of that name."""
        self.kept = {"name": name, "text": text, "number": next(self._numbers)}

    def copy(self, text: str) -> None:
        """Put the text on the clipboard."""
        self.copied = {"text": text, "number": next(self._numbers)}
