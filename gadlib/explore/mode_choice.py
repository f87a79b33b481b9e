"""Which mode is climbed first: chosen by a word, by atom numbers, or by clicking atoms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w

from gadlib.explore.fields import dropdown, text
from gadlib.settings.searches import SearchSettings

_DOC = SearchSettings.model_fields["mode"].description or ""
_KINDS = {"lowest": "lowest", "reaction": "reaction", "move atoms": "atoms", "stretch": "bonds"}
_PER_WORD = {"atoms": 1, "bonds": 2}


class ModeChoice:
    """The setting `mode` as a list of its kinds and a field of atoms.

    Attributes:
        kind, atoms: the widgets; `rows` both.
    """

    def __init__(self, mode: str, show_picked: Callable[[list[int]], None]) -> None:
        self._show_picked = show_picked
        self.kind = dropdown("climbed mode", list(_KINDS.items()), "lowest", _DOC)
        self.atoms = text("of atoms", "", _DOC, placeholder="numbers, or click atoms")
        self._half: int | None = None
        self.value = mode
        for widget in (self.kind, self.atoms):
            widget.observe(lambda _: self._refresh(), "value")
        self.rows: list[Any] = [self.kind, self.atoms]
        self._refresh()

    @property
    def value(self) -> str:
        """The setting, as in `bonds:0-3`."""
        kind = self.kind.value
        return f"{kind}:{self.atoms.value.replace(' ', '')}" if kind in _PER_WORD else kind

    @value.setter
    def value(self, mode: str) -> None:
        kind, _, atoms = mode.partition(":")
        self.atoms.value = atoms
        self.kind.value = kind

    def forget(self) -> None:
        """Drop the atoms, which are those of another molecule; the kind becomes the lowest."""
        if self.kind.value in _PER_WORD:
            self.value = "lowest"
        self._half = None
        self.atoms.value = ""

    def pick(self, atom: int) -> None:
        """Take an atom that was clicked: add it, or take it off where it was there."""
        if self.kind.value not in _PER_WORD:
            self.value = f"atoms:{atom}"
            return
        words = [word for word in self.atoms.value.replace(" ", "").split(",") if word]
        if self.kind.value == "bonds":
            words = self._with_end(words, atom)
        elif str(atom) in words:
            words.remove(str(atom))
        else:
            words.append(str(atom))
        self.atoms.value = ",".join(words)
        self._refresh()

    def _with_end(self, words: list[str], atom: int) -> list[str]:
        """The bonds with one more end: the first of another, or the second of the one begun."""
        if self._half is None:
            self._half = atom
            return words
        pair = sorted((self._half, atom))
        self._half = None
        bond = f"{pair[0]}-{pair[1]}"
        if pair[0] == pair[1] or bond in words:
            return [word for word in words if word != bond]
        return [*words, bond]

    def _refresh(self) -> None:
        is_of_atoms = self.kind.value in _PER_WORD
        self.atoms.disabled = not is_of_atoms
        found = [int(word) for word in self.atoms.value.replace("-", ",").split(",") if _is(word)]
        begun = [] if self._half is None else [self._half]
        self._show_picked(found + begun if is_of_atoms else [])

    def rows_box(self) -> w.VBox:
        """The widgets in a column."""
        return w.VBox(self.rows)


def _is(word: str) -> bool:
    return word.strip().isdecimal()
