"""The runs that are kept: which are drawn, their table, and what is done with one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w
import pandas as pd

from gadlib.explore.browser import Browser
from gadlib.explore.controls import Controls
from gadlib.explore.drawing import RUN_COLOURS
from gadlib.explore.fields import button, classed, table
from gadlib.explore.search_panel import SearchPanel
from gadlib.explore.tasks.choice import command_of
from gadlib.explore.tasks.geometry_files import last_point
from gadlib.explore.tasks.series import Run, run_row


class RunsPanel:
    """Keeps the runs of a search panel.

    Attributes:
        runs: those that are kept, in their order.
        box: the widget; `buttons` act on the run that is shown.
        compare: the list in which runs are chosen to be drawn.
    """

    def __init__(
        self,
        search: SearchPanel,
        controls: Controls,
        browser: Browser,
        say: Callable[[str], None],
        done: Callable[[str], None],
    ) -> None:
        self._search, self._controls, self._browser = search, controls, browser
        self._say, self._done = say, done
        self.runs: list[Run] = []
        doc = "the runs that are drawn; the last of them is the one that is shown"
        self.compare: Any = w.SelectMultiple(
            options=[], rows=4, layout={"width": "480px"}, tooltip=doc
        )
        self.forget_button = button("Forget", "drop the runs that are selected")
        self.back_button = button(
            "Settings back", "put the shown run's settings on the controls", icon="undo"
        )
        self.save_button = button(
            "Save xyz",
            "the shown run's last point, as extxyz with energy and mode",
            icon="download",
        )
        self.copy_button = button(
            "Copy as command", "the shown run as a command for a terminal", icon="copy"
        )
        self._table = classed(w.HTML(), "table-box")
        self.buttons = [self.save_button, self.copy_button]
        acts = w.VBox([self.back_button, self.forget_button])
        self.box = w.VBox([w.HBox([self.compare, acts]), self._table])
        self._connect()

    def _connect(self) -> None:
        self._search.ended = self.keep
        self._search.others = self.selected
        self.compare.observe(lambda _: self._redraw(), "value")
        self.forget_button.on_click(lambda _: self._forget())
        self.back_button.on_click(lambda _: self._with_shown(self._put_back))
        self.save_button.on_click(lambda _: self._with_shown(self._save))
        self.copy_button.on_click(lambda _: self._with_shown(self._copy))

    def selected(self) -> list[Run]:
        """The runs that are chosen to be drawn."""
        return [run for run in self.runs if run.number in self.compare.value]

    def keep(self, run: Run) -> None:
        """Add a run that is over, or show what is new of it."""
        if run not in self.runs:
            self.runs.append(run)
        chosen = {*self.compare.value, run.number}
        self._offer()
        shown = [each.number for each in self.runs if each.number in chosen]
        self.compare.value = shown[-len(RUN_COLOURS) :]

    def _offer(self) -> None:
        self.compare.options = [(f"{run.label}: {run.sentence}", run.number) for run in self.runs]
        self._table.value = table(pd.DataFrame([run_row(run) for run in self.runs]))

    def _redraw(self) -> None:
        chosen = self.selected()
        if not self._search.is_running and chosen:
            self._search.show(chosen[-1], chosen)

    def _forget(self) -> None:
        if self._search.is_running:
            self._say("A search is running: stop it before runs are forgotten.")
            return
        gone = set(self.compare.value)
        self.runs = [run for run in self.runs if run.number not in gone]
        self.compare.value = ()
        self._offer()
        self._search.forget()

    def _with_shown(self, act: Callable[[Run], None]) -> None:
        run = self._search.shown
        if run is None or not run.points:
            self._say("No run is shown: press Run, or choose one of those that are kept.")
        else:
            act(run)

    def _put_back(self, run: Run) -> None:
        self._controls.show(run.task, run.molecule)
        self._done(f"The controls show the settings of run {run.number}.")

    def _save(self, run: Run) -> None:
        name, text = last_point(run)
        self._browser.keep(name, text)
        self._done(f"{name} is in the browser's downloads.")

    def _copy(self, run: Run) -> None:
        command = command_of(run.task, run.molecule)
        self._browser.copy(command)
        self._done(f"On the clipboard: {command}")
