"""The page's sweep of one or two hyperparameters, with progress, cancel and a map."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as w

from gadlib.explore.fields import classed
from gadlib.explore.maps import map_png
from gadlib.explore.panel import Panel, Throttle, Watch
from gadlib.explore.tasks.background import Background, Ended, Refused, Task, search_tasks
from gadlib.explore.tasks.sweep import Axis, Sweep, axis, collect_map
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError

_NONE = "(none)"
_MAP_EVERY_S = 1.0


class AxisChoice:
    """A hyperparameter, the ends of its range and how many values; `axis` is None without one."""

    def __init__(self, solver: str, *, is_optional: bool) -> None:
        self._is_optional = is_optional
        self.hyperparameter: Any = w.Dropdown(
            layout={"width": "170px"}, tooltip="the hyperparameter that is varied"
        )
        self.low, self.high = (
            w.FloatText(
                description=end, layout={"width": "125px"}, style={"description_width": "36px"}
            )
            for end in ("from", "to")
        )
        self.n: Any = w.BoundedIntText(
            value=5,
            min=2,
            max=50,
            description="values",
            layout={"width": "105px"},
            style={"description_width": "45px"},
        )
        self.box = classed(w.HBox([self.hyperparameter, self.low, self.high, self.n]), "bar")
        self.hyperparameter.observe(lambda _: self._show_range(), "value")
        self.offer(solver)

    def offer(self, solver: str) -> None:
        """Offer the hyperparameters of that solver."""
        self._solver = solver
        names = [declared.name for declared in SOLVERS[solver].tunable()]
        names = [_NONE, *names] if self._is_optional else names
        self.hyperparameter.options = names
        self.hyperparameter.value = names[0]
        self._show_range()

    @property
    def axis(self) -> Axis | None:
        """The axis that the widgets say.

        Raises:
            InputError: when the ends are not in the hyperparameter's range.
        """
        if self.hyperparameter.value == _NONE:
            return None
        return axis(
            self._solver, self.hyperparameter.value, self.low.value, self.high.value, self.n.value
        )

    def _show_range(self) -> None:
        for hyperparameter in SOLVERS[self._solver].tunable():
            if hyperparameter.name == self.hyperparameter.value:
                self.low.value, self.high.value = hyperparameter.low, hyperparameter.high


class SweepPanel(Panel):
    """Starts a sweep of the search that the controls say.

    Attributes:
        box: the widget.
        sweep: the last one that was started, None before.
    """

    def __init__(self, task: Callable[[], Task], solver: Any) -> None:
        super().__init__()
        self._task = task
        self.sweep: Sweep | None = None
        self.first = AxisChoice(solver.value, is_optional=False)
        self.second = AxisChoice(solver.value, is_optional=True)
        solver.observe(lambda change: self._offer(change["new"]), "value")
        self.run_button = w.Button(
            description="Sweep", icon="th", button_style="primary", tooltip="search at every value"
        )
        self.cancel_button = w.Button(description="Cancel", icon="stop", disabled=True)
        self.progress = w.IntProgress(layout={"width": "200px"})
        self.status = w.HTML()
        self.map = classed(w.Image(format="png", layout={"display": "none"}), "figure")
        self.run_button.on_click(lambda _: self.start())
        self.cancel_button.on_click(lambda _: self.stop())
        self._map_due = Throttle(_MAP_EVERY_S)
        buttons = w.HBox([self.run_button, self.cancel_button, self.progress])
        self.box = w.VBox([self.first.box, self.second.box, buttons, self.status, self.map])

    def start(self) -> None:
        """Start the sweep, or say in a sentence why not."""
        if self.is_running:
            return
        try:
            axes = [axis for axis in (self.first.axis, self.second.axis) if axis is not None]
            sweep = Sweep(self._task(), tuple(axes))
            tasks = sweep.tasks
        except InputError as error:
            self._say(str(error))
            return
        self.sweep, self._is_running = sweep, True
        self.progress.value, self.progress.max = 0, len(tasks)
        self.run_button.disabled, self.cancel_button.disabled = True, False
        self._say(f"{len(tasks)} searches.")
        self._watch = Watch(
            lambda: Background(search_tasks, tasks, False),
            partial(self._hear, sweep),
            partial(self._finish, sweep),
        )

    def _offer(self, solver: str) -> None:
        self.first.offer(solver)
        self.second.offer(solver)

    def _hear(self, sweep: Sweep, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, Ended):
                sweep.records[message.place] = message.record
            elif isinstance(message, Refused):
                self._say(message.sentence)
        if messages:
            self.progress.value = len(sweep.records)
            self._map_due(partial(self._draw, sweep))

    def _finish(self, sweep: Sweep, is_stopped: bool) -> None:
        n, n_all = len(sweep.records), len(sweep.cells)
        converged = sum(record.converged for record in sweep.records.values())
        self.cancel_button.disabled = True
        if n == n_all or is_stopped:
            end = "Cancelled: " if n < n_all else ""
            self._say(f"{end}{n} of {n_all} searches ended, {converged} of them converged.")
        self._draw(sweep)
        self._is_running = False
        self.run_button.disabled = False

    def _draw(self, sweep: Sweep) -> None:
        n_steps = sweep.task.settings.n_steps_per_sample * len(sweep.task.start.each)
        self.map.value = map_png(collect_map(sweep), n_steps)
        self.map.layout.display = "block"

    def _say(self, sentence: str) -> None:
        self.status.value = html.escape(sentence)
