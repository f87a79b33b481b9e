"""The page's search: Run and Stop, live curves, the molecule, the runs that are kept."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as w
import pandas as pd

from gadlib.explore.drawing import RUN_COLOURS, LiveCurves, curves_png
from gadlib.explore.molecule import MoleculeView
from gadlib.explore.panel import Panel, Throttle, Watch
from gadlib.explore.tasks.background import Background, Ended, Refused, Task, search_tasks
from gadlib.explore.tasks.choice import Molecule
from gadlib.explore.tasks.series import Run, run_row
from gadlib.report.searches.tries import tries_table
from gadlib.screening.trajectories import Point
from gadlib.settings.reading import InputError

_CURVES_EVERY_S = 0.25
_MOLECULE_EVERY_S = 0.1


class SearchPanel(Panel):
    """Starts the search that the controls say, shows it while it runs, and keeps it.

    Attributes:
        bar, box, table_box: the widgets: the buttons, the search, the runs with their table.
        runs: all that were started, in their order.
    """

    def __init__(
        self, task: Callable[[], Task], chosen: Callable[[], Molecule], say: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._task, self._chosen, self._say = task, chosen, say
        self.runs: list[Run] = []
        self._live = LiveCurves()
        self._n_started = 0
        self._shown: Run | None = None
        self.run_button = w.Button(
            description="Run", icon="play", button_style="primary", tooltip="start the search"
        )
        self.stop_button = w.Button(
            description="Stop", icon="stop", disabled=True, tooltip="end the search at once"
        )
        self.status = w.HTML()
        self.tries = w.HTML()
        self.curves = w.Image(value=curves_png([]), format="png", layout={"width": "600px"})
        self.molecule = MoleculeView()
        wide = {"width": "300px"}
        doc = "which moment is shown"
        self.frame: Any = w.IntSlider(min=0, max=0, description="frame", tooltip=doc, layout=wide)
        self._play: Any = w.Play(min=0, max=0, interval=120, layout={"width": "150px"})
        self.compare: Any = w.SelectMultiple(
            options=[], rows=4, layout={"width": "420px"}, tooltip="the runs that are drawn"
        )
        self.forget_button = w.Button(
            description="Forget", tooltip="drop the runs that are selected"
        )
        self._table = w.HTML()
        self._curves_due = Throttle(_CURVES_EVERY_S)
        self._molecule_due = Throttle(_MOLECULE_EVERY_S)
        self._arrange()
        self._connect()

    def _arrange(self) -> None:
        buttons = w.HBox([self.run_button, self.stop_button])
        view = w.VBox([self.molecule, w.HBox([self._play, self.frame]), self.tries])
        self.bar = w.HBox([buttons, self.status])
        self.box = w.HBox(
            [self.curves, view], layout={"flex": "1 1 600px", "flex_flow": "row wrap"}
        )
        self.table_box = w.VBox([w.HBox([self.compare, self.forget_button]), self._table])

    def _connect(self) -> None:
        w.jslink((self._play, "value"), (self.frame, "value"))
        self.frame.observe(lambda _: self._draw_molecule(), "value")
        self.compare.observe(lambda _: self._redraw(), "value")
        self.run_button.on_click(lambda _: self.start())
        self.stop_button.on_click(lambda _: self.stop())
        self.forget_button.on_click(lambda _: self._forget())

    def start(self) -> None:
        """Start the search that the controls say, or say in a sentence why not."""
        if self.is_running:
            return
        try:
            task = self._task()
        except InputError as error:
            self._say(str(error))
            return
        self._say("")
        self._n_started += 1
        run = Run(self._n_started, task.settings, self._chosen().name, task.start.atomic_numbers)
        self.runs.append(run)
        self._shown = run
        self._is_running = True
        self.run_button.disabled, self.stop_button.disabled = True, False
        self._tell(run)
        self._watch = Watch(
            lambda: Background(search_tasks, [task], True),
            partial(self._hear, run),
            partial(self._finish, run),
        )

    def _hear(self, run: Run, messages: list[Any]) -> None:
        is_first = not run.points
        for message in messages:
            if isinstance(message, Point):
                run.points.append(message)
            elif isinstance(message, Ended):
                run.record, run.sentence = message.record, message.record.message
            elif isinstance(message, Refused):
                run.sentence = message.sentence
        if not run.points:
            return
        if run.record is None and messages:
            last = run.points[-1]
            number = f"try {last.n_tries + 1}, " if last.n_tries else ""
            force = f"largest force {last.max_force:.2g} eV/Å"
            run.sentence = f"Running: {number}{last.steps} steps, {force}."
        self._curves_due(partial(self._draw, run, is_live=True), now=is_first)
        self._molecule_due(partial(self._follow, run), now=is_first)

    def _finish(self, run: Run, is_stopped: bool) -> None:
        if is_stopped and run.record is None:
            n_steps = run.points[-1].steps if run.points else 0
            run.sentence = f"Stopped after {n_steps} steps."
        self._tell(run)
        self.stop_button.disabled = True
        if not run.points:
            self.runs.remove(run)
            self._say(run.sentence)
        else:
            self._follow(run)
        self._list(run)
        self._draw(run)
        self._is_running = False
        self.run_button.disabled = False

    def _draw(self, run: Run, *, is_live: bool = False) -> None:
        self._tell(run)
        compared = [r for r in self._selected() if r is not run]
        drawn = [*compared, run] if run.points else compared
        self.curves.value = self._live.png(drawn) if is_live else curves_png(drawn)

    def _tell(self, run: Run) -> None:
        self.status.value = f"<b>Run {run.number}.</b> {html.escape(run.sentence)}"
        self.tries.value = _tries_html(run)

    def _follow(self, run: Run) -> None:
        """The last moment of the run on the screen."""
        last = len(run.points) - 1
        self._play.max = self.frame.max = last
        if self.frame.value == last:
            self._draw_molecule()
        self.frame.value = last

    def _draw_molecule(self) -> None:
        run = self._shown
        if run is None or not run.points:
            return
        point = run.points[min(self.frame.value, len(run.points) - 1)]
        arrows = "arrows: the climbed mode" if point.mode.any() else "settling, no mode climbed"
        order = "unknown" if point.order is None else point.order
        caption = f"step {point.steps}, order {order}; {arrows}"
        is_new = len(run.points) == 1 or len(self.molecule.colours) != len(run.atomic_numbers)
        self.molecule.show(
            run.atomic_numbers, point.positions, point.mode, caption=caption, is_new=is_new
        )

    def _selected(self) -> list[Run]:
        return [run for run in self.runs if run.number in self.compare.value]

    def _list(self, newest: Run) -> None:
        kept = [run for run in self.runs if run.points]
        chosen = {*self.compare.value, newest.number}
        self.compare.options = [(f"{run.label}: {run.sentence}", run.number) for run in kept]
        shown = [run.number for run in kept if run.number in chosen]
        self.compare.value = shown[-len(RUN_COLOURS) :]
        self._tabulate(kept)

    def _redraw(self) -> None:
        chosen = self._selected()
        if self.is_running or not chosen:
            return
        self._shown = chosen[-1]
        self._tell(self._shown)
        self.molecule.colours = []
        self._follow(self._shown)
        self.curves.value = curves_png(chosen)

    def _forget(self) -> None:
        if self.is_running:
            self._say("A search is running: stop it before runs are forgotten.")
            return
        gone = set(self.compare.value)
        self.runs = [run for run in self.runs if run.number not in gone]
        self.compare.value = ()
        self.compare.options = [(run.label, run.number) for run in self.runs]
        self._tabulate(self.runs)
        self.curves.value = curves_png([])

    def _tabulate(self, runs: list[Run]) -> None:
        table = pd.DataFrame([run_row(run) for run in runs])
        self._table.value = table.to_html(index=False, border=0) if runs else ""


def _tries_html(run: Run) -> str:
    """The tries of a run that has ended as a small table; empty where its solver makes none."""
    table = pd.DataFrame() if run.record is None else tries_table([run.record])
    return "" if table.empty else table.drop(columns="reaction").to_html(index=False, border=0)
