"""The page's search: Run and Stop, live curves, and what it tells while it runs."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import ipywidgets as w
import pandas as pd

from gadlib.explore.drawing import RUN_COLOURS, LiveCurves, curves_png
from gadlib.explore.fields import classed, table
from gadlib.explore.panel import Panel, Throttle, Watch
from gadlib.explore.tasks.background import Background, Ended, Refused, Task, search_tasks
from gadlib.explore.tasks.choice import Molecule
from gadlib.explore.tasks.series import Run
from gadlib.explore.view_panel import End, ViewPanel
from gadlib.molecules.starting_points import Start
from gadlib.report.searches.tries import tries_table
from gadlib.screening.trajectories import Point
from gadlib.settings.reading import InputError

_CURVES_EVERY_S = 0.25
_MOLECULE_EVERY_S = 0.1


class SearchPanel(Panel):
    """Starts the search that the controls say, and shows it while it runs.

    Attributes:
        buttons, status, box: the widgets.
        begun: called when a search begins; `ended` with each run that is over and has points;
            `turned` when another run is shown.
        others: gives the runs that are drawn beside the running one.
        shown: the run whose molecule is shown, None before the first.
    """

    def __init__(
        self,
        task: Callable[[], Task],
        chosen: Callable[[], Molecule],
        say: Callable[[str], None],
        view: ViewPanel,
    ) -> None:
        super().__init__()
        self._task, self._chosen, self._say, self._view = task, chosen, say, view
        self.begun: Callable[[], None] = lambda: None
        self.turned: Callable[[], None] = lambda: None
        self.ended: Callable[[Run], None] = lambda run: None
        self.others: Callable[[], list[Run]] = list
        self._live = LiveCurves()
        self._n_started = 0
        self._next_start: Start | None = None
        self.shown: Run | None = None
        self.run_button = w.Button(
            description="Run", icon="play", button_style="primary", tooltip="start the search"
        )
        self.stop_button = w.Button(
            description="Stop", icon="stop", disabled=True, tooltip="end the search at once"
        )
        self.status, self.tries = w.HTML(), w.HTML()
        self.curves = classed(w.Image(value=curves_png([]), format="png"), "figure")
        self._curves_due = Throttle(_CURVES_EVERY_S)
        self._molecule_due = Throttle(_MOLECULE_EVERY_S)
        self.buttons = [self.run_button, self.stop_button]
        self.box = w.VBox([self.curves, self.tries])
        self.run_button.on_click(lambda _: self.start())
        self.stop_button.on_click(lambda _: self.stop())

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
        run = Run(self._n_started, task, self._chosen())
        self.shown = run
        self._is_running = True
        self.run_button.disabled, self.stop_button.disabled = True, False
        self._tell(run)
        self._next_start = None
        self.begun()
        self._watch = Watch(
            lambda: Background(search_tasks, [task], True),
            partial(self._hear, run),
            partial(self._finish, run),
        )

    def show_start(self, start: Start | None) -> None:
        """Show a starting point, once no search runs; the curves of a run stay."""
        self._next_start = start
        if self.is_running:
            return
        if start is None:
            self._view.clear()
            return

        def draw(_: int) -> None:
            self._view.molecule.show(
                start.atomic_numbers,
                start.positions,
                caption=f"{start.name}, where the search starts",
                is_new=True,
            )

        self._view.show_moments(self._chosen(), 1, draw, 0)
        self._show_ends(start)

    def show(self, run: Run, drawn: Sequence[Run]) -> None:
        """Show a run that is over, and the curves of those that are drawn with it."""
        self.shown = run
        self._tell(run)
        self.turned()
        self.draw(drawn)

    def forget(self) -> None:
        """Show no run any more."""
        self.shown, self.status.value, self.tries.value = None, "Ready.", ""
        self._view.clear()
        self.draw([])

    def offer(self, run: Run) -> None:
        """Offer the moments of a run that is over, and its reactant and product."""
        self._view.molecule.colours = []  # a scale of its own
        self._show_ends(run.task.start)
        self.follow(run)

    def draw(self, runs: Sequence[Run]) -> None:
        """Draw the curves of runs that are over."""
        self.curves.value = curves_png(runs[-len(RUN_COLOURS) :])

    def follow(self, run: Run) -> None:
        """Offer the moments of the run, and show the last."""
        draw = partial(self._draw_molecule, run)
        self._view.show_moments(run.molecule, len(run.points), draw, len(run.points) - 1)

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
        if is_first:
            self._show_ends(run.task.start)
        self._curves_due(partial(self._draw_live, run), now=is_first)
        self._molecule_due(partial(self.follow, run), now=is_first)

    def _finish(self, run: Run, is_stopped: bool) -> None:
        if is_stopped and run.record is None:
            n_steps = run.points[-1].steps if run.points else 0
            run.sentence = f"Stopped after {n_steps} steps."
        self._tell(run)
        self.stop_button.disabled = True
        if run.points:
            self.follow(run)
            self.ended(run)
        else:
            self.shown = None
            self._say(run.sentence)
        others = [each for each in self.others() if each is not run]
        self.draw([*others, run] if run.points else others)
        self._is_running = False
        self.run_button.disabled = False
        if self._next_start is not None:  # another was chosen meanwhile
            self.show_start(self._next_start)

    def _draw_live(self, run: Run) -> None:
        self._tell(run)
        self.curves.value = self._live.png([*self.others(), run])

    def _tell(self, run: Run) -> None:
        self.status.value = f"<b>Run {run.number}.</b> {html.escape(run.sentence)}"
        tries = pd.DataFrame() if run.record is None else tries_table([run.record])
        self.tries.value = table(tries.drop(columns="reaction", errors="ignore"))

    def _draw_molecule(self, run: Run, place: int) -> None:
        point = run.points[min(place, len(run.points) - 1)]
        arrows = "arrows: the climbed mode" if point.mode.any() else "settling, no mode climbed"
        order = "unknown" if point.order is None else point.order
        caption = f"step {point.steps}, order {order}; {arrows}"
        self._view.molecule.show(
            run.atomic_numbers,
            point.positions,
            point.mode,
            caption=caption,
            is_new=len(run.points) == 1,
        )

    def _show_ends(self, start: Start) -> None:
        names = ("reactant", "product")
        known = [] if start.ends is None else zip(names, start.ends, strict=True)
        ends = [End(name, positions) for name, positions in known]
        self._view.show_ends(start.atomic_numbers, ends, start.positions)
