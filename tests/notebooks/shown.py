"""What pictures show, as it is declared today."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipywidgets import FileUpload

from gadlib.explore.controls import Controls
from gadlib.explore.tasks.choice import molecules_of
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.searches import ExploreSettings

KEY = "gadlib"
"""The key of a PNG's text that keeps it."""

SOLVER = "trust"
"""The one that is chosen in the pictures."""

PAIR = {"solver": "delta", "scine_functional": "PM6", "cheap": "scine:DFTB0"}
"""Settings of the search in the picture of `delta`."""


def declared() -> dict[str, dict[str, float | str]]:
    """The defaults of the hyperparameters that the page shows of the solver, by their names."""
    kind = SOLVERS[SOLVER]
    declared = (*kind.choices(), *kind.tunable())
    return {"hyperparameters": {one.name: one.default for one in declared}}


def labels() -> list[str]:
    """What stands beside the widgets of the page's left column, from the top."""
    settings = ExploreSettings.read({"solver": SOLVER, "max_samples": 1})
    controls = Controls(settings, molecules_of(settings), lambda sentence: None)
    return list(_labels(controls.search_box))


def _labels(widget: Any) -> Iterator[str]:
    """The labels of a widget and of those in it; a button bears its own."""
    if isinstance(widget, FileUpload):
        return
    if getattr(widget, "description", ""):
        yield widget.description
    for child in getattr(widget, "children", ()):
        yield from _labels(child)
