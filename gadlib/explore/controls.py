"""The left column of the page: what is searched, how, and a slider for every hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w

from gadlib.explore.sliders import (
    label_of,
    slider_of,
    study_best,
    tooltip_of,
    tuned_for_else,
    value_of,
)
from gadlib.explore.tasks.background import Task
from gadlib.explore.tasks.choice import ANCHORS, Molecule, potentials, recipe, task_of
from gadlib.molecules.recipes import MAX_NOISE, parse_start
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.declarations import Hyperparameter
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ExploreSettings, SearchSettings

WIDE = {"width": "390px"}
_LABEL = {"description_width": "190px"}
_MAX_WHOLE = 2**53 - 1  # of a browser


def make_slider(hyperparameter: Hyperparameter) -> Any:
    """The slider of one hyperparameter, at its default."""
    form = slider_of(hyperparameter)
    common: dict[str, Any] = {
        "description": label_of(hyperparameter),
        "tooltip": tooltip_of(hyperparameter),
        "readout_format": form.readout,
        "style": _LABEL,
        "layout": WIDE,
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
            c.name: _dropdown(c.name, c.values, c.default, c.doc) for c in kind.choices()
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


class Controls:
    """What to search, and how; `task` is the search that the widgets now say.

    Attributes:
        box: the widget.
        say: called with a sentence for the user.
    """

    def __init__(
        self, settings: ExploreSettings, molecules: Sequence[Molecule], say: Callable[[str], None]
    ) -> None:
        self._settings, self._molecules, self.say = settings, molecules, say
        self._potentials = potentials(settings)
        anchor, noise = parse_start(settings.start_from)
        names = [(molecule.label, i) for i, molecule in enumerate(molecules)]
        is_fixed = molecules[0].start is not None
        self.molecule = _dropdown("reaction", names, 0, "what is searched; type to find one")
        self.anchor = _dropdown("start", ANCHORS, anchor, "where the search starts")
        self.noise = _noise_slider(noise)
        self.anchor.disabled = self.noise.disabled = is_fixed
        self.seed = _number("noise seed", settings.noise_seed, "draws the noise of the start", 0)
        self.potential = _dropdown(
            "calculator", list(self._potentials), next(iter(self._potentials)), "the potential"
        )
        self.solver = _dropdown("solver", list(SOLVERS), settings.solver, "the step rule")
        self.criterion = _dropdown(
            "criterion", tuple(CRITERIA), settings.criterion, "what ends a search; all are judged"
        )
        self.n_steps = _number(
            "steps at most", settings.n_steps_per_sample, "then the search ends without success", 1
        )
        self._sliders_of = {name: SolverSliders(name) for name in SOLVERS}
        self.sliders.show(settings.hyperparameters)
        self.default_button = _button("Defaults", "every slider to its default")
        self.best_button = _button("Study's best", "every slider to the best values of the study")
        self.study = _study_field(settings.best or "")
        self._slider_box = w.VBox([self.sliders.box])
        self.solver.observe(self._show_solver, "value")
        self.default_button.on_click(lambda _: self.sliders.reset())
        self.best_button.on_click(lambda _: self._show_best())
        choices = [self.molecule, self.anchor, self.noise, self.seed, self.potential, self.solver]
        buttons = w.HBox([self.default_button, self.best_button, self.study])
        rows = [*choices, self.criterion, self.n_steps, w.HTML("<b>Hyperparameters</b>"), buttons]
        self.box = w.VBox([*rows, self._slider_box], layout={"width": "405px"})

    @property
    def sliders(self) -> SolverSliders:
        """The sliders of the chosen solver."""
        return self._sliders_of[self.solver.value]

    @property
    def chosen(self) -> Molecule:
        """The chosen reaction or geometry."""
        return self._molecules[self.molecule.value]

    def task(self) -> Task:
        """The search that the widgets now say.

        Raises:
            InputError: when it can't be followed.
        """
        given = {name: getattr(self._settings, name) for name in SearchSettings.model_fields}
        return task_of(
            self.chosen,
            given
            | dict(self._potentials[self.potential.value])
            | {
                "start_from": self._start_from(),
                "noise_seed": self.seed.value,
                "solver": self.solver.value,
                "criterion": self.criterion.value,
                "n_steps_per_sample": self.n_steps.value,
                "hyperparameters": self.sliders.values,
            },
        )

    def _start_from(self) -> str:
        shown, given = (self.anchor.value, self.noise.value), self._settings.start_from
        return given if shown == parse_start(given) else recipe(shown[0], round(shown[1], 3))

    def _show_solver(self, _: Any) -> None:
        self._slider_box.children = [self.sliders.box]

    def _show_best(self) -> None:
        where = self.study.value, self._settings.study_name
        try:
            self.sliders.show(study_best(*where, self.solver.value))
            note = tuned_for_else(*where, self.task().settings)
        except InputError as error:
            self.say(str(error))
            return
        self.say(f"The sliders show the best values of the study. {note}".strip())


def _dropdown(label: str, options: Any, value: Any, doc: str) -> Any:
    return w.Dropdown(
        options=options, value=value, description=label, tooltip=doc, style=_LABEL, layout=WIDE
    )


def _noise_slider(noise: float) -> Any:
    return w.FloatSlider(
        value=noise,
        min=0,
        max=max(noise, MAX_NOISE / 2),
        step=0.05,
        description="noise (Å)",
        tooltip="standard deviation of the Gaussian noise on every coordinate of the start",
        style=_LABEL,
        layout=WIDE,
        continuous_update=False,
    )


def _study_field(where: str) -> Any:
    return w.Text(
        value=where,
        placeholder="results .json, or .db",
        continuous_update=False,
        layout={"width": "160px"},
        tooltip="where the study's best values are",
    )


def _number(label: str, value: int, doc: str, low: int) -> Any:
    return w.BoundedIntText(
        value=value,
        min=low,
        max=_MAX_WHOLE,
        description=label,
        tooltip=doc,
        style=_LABEL,
        layout={"width": "260px"},
    )


def _button(label: str, doc: str) -> w.Button:
    return w.Button(description=label, tooltip=doc, layout={"width": "105px"})
