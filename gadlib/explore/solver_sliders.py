"""The sliders of a solver's hyperparameters, and lists for those of its settings that are words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import ipywidgets as w

from gadlib.explore.fields import dropdown
from gadlib.explore.sliders import label_of, slider_of, tooltip_of, value_of
from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS


def make_slider(hyperparameter: Hyperparameter) -> Any:
    """The slider of one hyperparameter, at its default."""
    form = slider_of(hyperparameter)
    common: dict[str, Any] = {
        "description": label_of(hyperparameter),
        "tooltip": tooltip_of(hyperparameter),
        "readout_format": form.readout,
        "style": {"description_width": "130px"},
        "layout": {"width": "100%"},
        "continuous_update": False,
        "min": form.low,
        "max": form.high,
        "step": form.step,
    }
    if form.is_log:
        return w.FloatLogSlider(value=hyperparameter.default, base=10, **common)
    if form.is_whole:
        return w.IntSlider(value=int(hyperparameter.default), **common)
    return w.FloatSlider(value=hyperparameter.default, **common)


class SolverSliders:
    """The sliders of one solver, and a list for each of its settings that is a word.

    Attributes:
        solver: whose hyperparameters they are.
        sliders: by the name of the hyperparameter.
        choices: by the name of the setting.
        box: the widget that shows them.
    """

    def __init__(self, solver: str) -> None:
        self.solver = solver
        kind = SOLVERS[solver]
        self._declared = {each.name: each for each in kind.tunable()}
        self.sliders = {name: make_slider(each) for name, each in self._declared.items()}
        self.choices = {
            c.name: dropdown(c.name, c.values, c.default, c.doc) for c in kind.choices()
        }
        self._given: dict[str, tuple[float, float | int]] = {}
        self.box = w.VBox([*self.choices.values(), *self.sliders.values()])

    @property
    def values(self) -> dict[str, float | int | str]:
        """What the widgets show, each value within its limits; a given one in all its digits."""
        numbers = {name: self._number_of(name) for name in self.sliders}
        return {name: chosen.value for name, chosen in self.choices.items()} | numbers

    def _number_of(self, name: str) -> float | int:
        place = self.sliders[name].value
        before, given = self._given.get(name, (None, 0.0))
        return given if place == before else value_of(self._declared[name], place)

    def show(self, values: Mapping[str, float | int | str]) -> None:
        """Set the named ones; a slider whose range ends before its value grows."""
        for name, value in values.items():
            if name in self.choices:
                self.choices[name].value = value
                continue
            hyperparameter, slider = self._declared[name], self.sliders[name]
            shown = value_of(hyperparameter, float(value))
            end = math.log10(shown) if hyperparameter.log else shown
            slider.min, slider.max = min(slider.min, end), max(slider.max, end)
            slider.value = int(shown) if slider_of(hyperparameter).step == 1 else shown
            self._given[name] = slider.value, hyperparameter.type(value)

    def reset(self) -> None:
        """Set everything to its default."""
        kind = SOLVERS[self.solver]
        self.show(
            {declared.name: declared.default for declared in (*kind.tunable(), *kind.choices())}
        )
