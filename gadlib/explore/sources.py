"""Where the page's molecules are from: the set, a file of this machine, a file sent to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w

from gadlib.explore.fields import classed, dropdown, text
from gadlib.explore.tasks.choice import FILES, Molecule, read_file, read_upload
from gadlib.settings.reading import InputError

_MOST_FILES = 200


class Sources:
    """The lists of molecules to choose from, and the chosen one.

    Attributes:
        source: the list of where molecules are from; `molecule` of what is there.
        path: a field for a file of this machine.
        upload: takes a file of the reader's machine.
        rows: the widgets, in their order.
    """

    def __init__(
        self, molecules: Sequence[Molecule], say: Callable[[str], None], done: Callable[[str], None]
    ) -> None:
        self._say, self._done = say, done
        first = molecules[0].source
        self._known = {first: list(molecules)}
        self.source = dropdown("from", [first], first, "the set, or a file that was opened")
        self.molecule = dropdown("molecule", [], None, "what is searched; type to find one")
        self.path = text(
            "open file",
            "",
            "xyz, extxyz, what ASE reads, or reactions in HDF5; a file of this machine",
            options=files_here(),
            placeholder="path, or Upload",
            ensure_option=False,
        )
        self.upload: Any = w.FileUpload(
            multiple=False,
            tooltip="send a file of up to 10 MB",
            layout={"width": "125px"},
        )
        self._offer()
        self.source.observe(lambda _: self._offer(), "value")
        self.path.observe(lambda change: self._open(change["new"]), "value")
        self.upload.observe(lambda _: self._take(), "value")
        sending = classed(w.HBox([self.upload]), "right")
        self.rows = [self.source, self.path, sending, self.molecule]

    @property
    def chosen(self) -> Molecule:
        """The chosen reaction or geometry."""
        return self._known[self.source.value][self.molecule.value]

    def add(self, molecules: Sequence[Molecule]) -> None:
        """Offer the molecules of another file, and choose its first."""
        name = molecules[0].source
        self._known[name] = list(molecules)
        self.source.options = list(self._known)
        if self.source.value == name:
            self._offer()
        self.source.value = name

    def show(self, molecule: Molecule) -> None:
        """Choose one that was offered before."""
        if all(each is not molecule for each in self._known.get(molecule.source, [])):
            self.add([molecule])
        self.source.value = molecule.source
        places = [each is molecule for each in self._known[molecule.source]]
        self.molecule.value = places.index(True)

    def _offer(self) -> None:
        offered = self._known[self.source.value]
        self.molecule.options = [(molecule.label, i) for i, molecule in enumerate(offered)]
        self.molecule.value = 0

    def _open(self, path: str) -> None:
        if path.strip():
            self._read(lambda: read_file(path.strip()))
            self.path.value = ""

    def _take(self) -> None:
        sent = self.upload.value
        if sent:
            self._read(lambda: read_upload(sent[0]["name"], bytes(sent[0]["content"])))
            self.upload.value = ()

    def _read(self, read: Callable[[], list[Molecule]]) -> None:
        try:
            found = read()
        except InputError as error:
            self._say(str(error))
            return
        self.add(found)
        n = len(found)
        what = "reaction" if found[0].reaction is not None else "geometry"
        plural = "geometries" if what == "geometry" else "reactions"
        self._done(f"{found[0].source}: {n} {what if n == 1 else plural} to choose from.")


def files_here() -> list[str]:
    """The files of the notebook's folder that may hold molecules."""
    found = [path.name for path in Path().iterdir() if path.suffix.lower() in FILES]
    return sorted(found)[:_MOST_FILES]
