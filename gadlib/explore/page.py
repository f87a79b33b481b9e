"""The whole page: controls, search, runs and sweep; a sentence where something can't be used."""

from __future__ import annotations

import gc
import html
import threading
from collections.abc import Mapping
from typing import Any

import ipywidgets as w

from gadlib.explore.controls import Controls
from gadlib.explore.search_panel import SearchPanel
from gadlib.explore.sweep_panel import SweepPanel
from gadlib.explore.tasks.background import prepare
from gadlib.explore.tasks.choice import molecules_of, require_usable
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ExploreSettings


class Page:
    """What `notebooks/06_explore` shows.

    Attributes:
        message: sentences for the user.
        controls, search, sweep: its parts.
        box: the widget; displaying the page displays it.
    """

    def __init__(self, settings: ExploreSettings) -> None:
        require_usable(settings)
        self.message = w.HTML()
        self.controls = Controls(settings, molecules_of(settings), self.say)
        self.search = SearchPanel(self.controls.task, lambda: self.controls.chosen, self.say)
        self.sweep = SweepPanel(self.controls.task, self.controls.solver)
        more = w.Tab([self.search.table_box, self.sweep.box], titles=["Runs", "Sweep"])
        columns = w.HBox([self.controls.box, self.search.box], layout={"flex_flow": "row wrap"})
        self.box = w.VBox([self.message, self.search.bar, columns, more])
        self.search.run_button.disabled = True
        self._preparing = threading.Thread(target=self._prepare, daemon=True)
        self._preparing.start()

    def say(self, sentence: str) -> None:
        """Show a sentence for the user above the page."""
        self.message.value = _notice(sentence) if sentence else ""

    def wait(self, timeout_s: float) -> bool:
        """Whether searches could start at once within that time; for whoever drives the page."""
        self._preparing.join(timeout_s)
        return not self._preparing.is_alive()

    def _prepare(self) -> None:
        self.search.status.value = "Getting ready to search."
        try:
            prepare()
            # Figures are cyclic garbage; to look for it among all that torch brings takes 0.3 s.
            gc.collect()
            gc.freeze()
        finally:
            self.search.status.value = "Ready."
            self.search.run_button.disabled = False

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)


def page(namespace: Mapping[str, Any]) -> Page | w.HTML:
    """The page for the variables of a notebook, as `globals()` holds them, or why there is none."""
    try:
        return Page(ExploreSettings.from_namespace(namespace))
    except InputError as error:
        return w.HTML(_notice(str(error)))


def _notice(sentence: str) -> str:
    style = "border-left:4px solid #D55E00;padding:4px 10px;margin:4px 0;max-width:900px"
    return f'<div role="alert" style="{style}">{html.escape(sentence)}</div>'
