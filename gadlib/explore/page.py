"""The exploration page put together of its parts; `page` builds it from a notebook's variables."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping
from typing import Any

import ipywidgets as w

from gadlib.explore.browser import Browser
from gadlib.explore.controls import Controls
from gadlib.explore.fields import classed, notice, style
from gadlib.explore.find_panel import FindPanel
from gadlib.explore.path_panel import PathPanel
from gadlib.explore.runs_panel import RunsPanel
from gadlib.explore.search_panel import SearchPanel
from gadlib.explore.sweep_panel import SweepPanel
from gadlib.explore.tasks.background import prepare
from gadlib.explore.tasks.choice import molecules_of, require_usable
from gadlib.explore.tasks.series import Run
from gadlib.explore.view_panel import ViewPanel
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ExploreSettings

_CURVES, _PATH = 0, 1
"""Places of the tabs in the middle."""


class Page:
    """What `notebooks/06_explore` shows.

    Attributes:
        message: sentences for the user.
        controls, view, search, runs, path, sweep, find, browser: its parts.
        box: the widget; displaying the page displays it.
    """

    def __init__(self, settings: ExploreSettings) -> None:
        require_usable(settings)
        self.message, self.browser, self.view = w.HTML(), Browser(), ViewPanel()
        self.controls = Controls(settings, molecules_of(settings), self.say, self.done)
        chosen = self.controls
        self.search = SearchPanel(chosen.task, lambda: chosen.chosen, self.say, self.view)
        self.runs = RunsPanel(self.search, self.controls, self.browser, self.say, self.done)
        self.path = PathPanel(
            lambda: self.search.shown, self.view, self.browser, self.say, self.done
        )
        self.sweep = SweepPanel(self.controls.task, self.controls.solver)
        self.find = FindPanel(self.controls.task, lambda: chosen.chosen, self.say)
        middle = [self.search.box, self.path.box, self.sweep.box, self.find.box]
        titles = ["Curves", "Path", "Sweep", "Find"]
        self.tabs = classed(w.Tab(middle, titles=titles), "middle")
        self._arrange()
        self._connect()
        self.search.run_button.disabled = True
        self._preparing = threading.Thread(target=self._prepare, daemon=True)
        self._preparing.start()

    def _arrange(self) -> None:
        buttons = [*self.search.buttons, self.path.follow_button, *self.runs.buttons]
        bar = classed(w.HBox([*buttons, self.search.status]), "bar")
        columns = w.GridBox([self.controls.box, self.tabs, self.view.box])
        parts = [style(), self.browser, bar, classed(self.message, "message")]
        parts += [classed(columns, "columns"), self.runs.box]
        self.box = classed(w.VBox(parts), "page")

    def _connect(self) -> None:
        self.controls.show_start = self.search.show_start
        self.controls.show_picked = self._show_picked
        self.view.molecule.on_pick(self._pick)
        self.tabs.observe(lambda _: self._turn(), "selected_index")
        self.search.begun = self._show_curves
        self.search.turned = self._turn
        self.path.arrived = self._arrived
        self.controls.preview()

    def say(self, sentence: str) -> None:
        """Show above the page what is wrong; nothing where the sentence is empty."""
        self.message.value = notice(sentence, is_problem=True) if sentence else ""

    def done(self, sentence: str) -> None:
        """Show above the page what was done."""
        self.message.value = notice(sentence, is_problem=False)

    def wait(self, timeout_s: float) -> bool:
        """Whether searches could start at once within that time; for whoever drives the page."""
        self._preparing.join(timeout_s)
        return not self._preparing.is_alive()

    def _turn(self) -> None:
        """Let the molecule be that of the tab that is open."""
        run = self.search.shown
        if run is None or self.search.is_running:
            return
        self.path.show(run)
        if self.tabs.selected_index == _PATH and self.path.offer():
            return
        if run.points:
            self.search.offer(run)

    def _show_curves(self) -> None:
        self.tabs.selected_index = _CURVES

    def _arrived(self, run: Run) -> None:
        """Show the path that was found, unless another run is looked at by now."""
        self.runs.keep(run)
        if self.search.shown is run:
            self.tabs.selected_index = _PATH
        else:
            self.done(
                f"Run {run.number} was followed downhill: its path is there when it is chosen."
            )

    def _pick(self, atom: int) -> None:
        if self.view.subject is not self.controls.chosen:
            self.say("The atoms are those of another molecule than the chosen one: Settings back.")
            return
        self.controls.mode.pick(atom)

    def _show_picked(self, atoms: list[int]) -> None:
        self.view.molecule.picked = atoms

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
        return w.HTML(notice(str(error), is_problem=True))
