"""The left column of the page: what is searched, how, and a slider for every hyperparameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w

from gadlib.explore.fields import button, classed, dropdown, table, text, whole
from gadlib.explore.mode_choice import ModeChoice
from gadlib.explore.solver_sliders import SolverSliders
from gadlib.explore.sources import Sources
from gadlib.explore.study_values import study_best, tuned_for_else
from gadlib.explore.tasks.background import Task
from gadlib.explore.tasks.choice import (
    ANCHORS,
    Molecule,
    potential_label,
    potential_of,
    potentials,
    recipe,
    shown_as,
    task_of,
)
from gadlib.molecules.problems import electrons_problem, lowest_multiplicity
from gadlib.molecules.recipes import MAX_NOISE, is_portfolio
from gadlib.molecules.starting_points import Start
from gadlib.report.tuning.words import words_table
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ExploreSettings, SearchSettings
from gadlib.tuning.choices import STARTS
from gadlib.tuning.ranges import ends_told

_NUMBERS = {"noise_seed": "noise seed", "n_steps_per_sample": "steps at most"}
"""The settings that are a field of the page, and their labels there."""

_ELECTRONS = {"charge": "charge (e)", "multiplicity": "multiplicity"}
"""Likewise; each molecule brings values of its own."""


class Controls:
    """What to search, and how; `task` is the search that the widgets now say.

    Attributes:
        box: the widget.
        tried: the words that the trials of a study tried, as a table, once its best are shown.
        say: called with a sentence on what is wrong; `done` with one on what was done.
        show_start: called with the starting point that is chosen, None where there is none.
        show_picked: called with the atoms that the climbed mode is to be of.
    """

    def __init__(
        self,
        settings: ExploreSettings,
        molecules: Sequence[Molecule],
        say: Callable[[str], None],
        done: Callable[[str], None] | None = None,
    ) -> None:
        self._settings, self.say, self.done = settings, say, done or say
        self.show_start: Callable[[Start | None], None] = lambda start: None
        self.show_picked: Callable[[list[int]], None] = lambda atoms: None
        self._potentials = potentials(settings)
        self._given: dict[str, Any] = settings.model_dump()
        self.sources = Sources(molecules, lambda s: self.say(s), lambda s: self.done(s))
        self.molecule = self.sources.molecule
        anchor, noise = shown_as(settings.start_from)
        offered = tuple(dict.fromkeys([*ANCHORS, anchor]))
        self.anchor = dropdown("start", offered, anchor, "where the search starts")
        self.noise = _noise_slider(noise)
        self.numbers = {
            name: whole(name, label, getattr(settings, name)) for name, label in _NUMBERS.items()
        }
        self.seed = self.numbers["noise_seed"]
        own = dict(zip(_ELECTRONS, self.chosen.electrons, strict=True))
        self.electrons = {name: whole(name, _ELECTRONS[name], own[name]) for name in own}
        self.mode = ModeChoice(settings.mode, lambda atoms: self.show_picked(atoms))
        first = next(iter(self._potentials))
        self.potential = dropdown("calculator", list(self._potentials), first, "the potential")
        self.solver = dropdown("solver", list(SOLVERS), settings.solver, "the step rule")
        self.criterion = dropdown(
            "criterion", tuple(CRITERIA), settings.criterion, "what ends a search"
        )
        self._sliders_of = {name: SolverSliders(name) for name in SOLVERS}
        self.sliders.show(settings.hyperparameters)
        self._arrange()
        self._connect()

    def _arrange(self) -> None:
        self.default_button = button("Defaults", "every slider to its default")
        self.best_button = button("Study's best", "all that a study has tuned, to its best values")
        doc = "a results file, a profile by its name or file, a study's SQLite file or its URL"
        self.study = text("", self._settings.best or "", doc, placeholder="results .json, or .db")
        self._slider_box = w.VBox([self.sliders.box])
        self.electrons["charge"].layout.width = "174px"
        self.electrons["multiplicity"].layout.width = "132px"
        self.electrons["multiplicity"].style.description_width = "84px"
        electrons = w.HBox(list(self.electrons.values()))
        self.search_box = w.VBox(
            [
                *self.sources.rows,
                *(self.anchor, self.noise, self.seed, electrons),
                *self.mode.rows,
                *(self.potential, self.solver, self.criterion),
                *(widget for name, widget in self.numbers.items() if name != "noise_seed"),
            ]
        )
        buttons = classed(w.HBox([self.default_button, self.best_button, self.study]), "row")
        self.tried = classed(w.HTML(), "table-box")
        self.hyperparameter_box = w.VBox([buttons, self.tried, self._slider_box])
        self.box = classed(
            w.Tab([self.search_box, self.hyperparameter_box], titles=["Search", "Hyperparameters"]),
            "controls",
        )

    def _connect(self) -> None:
        self.solver.observe(self._show_solver, "value")
        self.default_button.on_click(lambda _: self._show_defaults())
        self.best_button.on_click(lambda _: self._show_best())
        for widget in (self.sources.source, self.molecule):
            widget.observe(lambda _: self._show_molecule(), "value")
        self.electrons["charge"].observe(lambda _: self._fit_multiplicity(), "value")
        chosen = (self.sources.source, self.molecule, *self.electrons.values())
        for widget in (*chosen, self.anchor, self.noise, self.seed):
            widget.observe(lambda _: self.preview(), "value")

    @property
    def sliders(self) -> SolverSliders:
        """The sliders of the chosen solver."""
        return self._sliders_of[self.solver.value]

    @property
    def chosen(self) -> Molecule:
        """The chosen reaction or geometry."""
        return self.sources.chosen

    def preview(self) -> None:
        """Show the starting point that is chosen."""
        self.anchor.disabled = self.seed.disabled = self.chosen.is_fixed
        self.noise.disabled = self.chosen.is_fixed or is_portfolio(self.anchor.value)
        try:
            start = self.chosen.start_at(self._start_from(), self.seed.value, self._electrons)
        except InputError:  # said when it is run
            start = None
        self.show_start(start)

    def task(self) -> Task:
        """The search that the widgets now say.

        Raises:
            InputError: when it can't be followed.
        """
        given = {name: self._given[name] for name in SearchSettings.model_fields}
        numbers = {name: widget.value for name, widget in self.numbers.items()}
        return task_of(
            self.chosen,
            given
            | dict(self._potentials[self.potential.value])
            | numbers
            | self._asked_electrons()
            | {
                "start_from": self._start_from(),
                "mode": self.mode.value,
                "solver": self.solver.value,
                "criterion": self.criterion.value,
                "hyperparameters": self.sliders.values,
            },
            self._electrons,
        )

    def show(self, task: Task, molecule: Molecule) -> None:
        """Put a search's settings back on the widgets."""
        settings = task.settings
        self._given |= settings.model_dump()
        self.sources.show(molecule)
        self.electrons["charge"].value = task.start.charge
        self.electrons["multiplicity"].value = task.start.multiplicity
        self._show_recipe(settings.start_from)
        for name, widget in self.numbers.items():
            widget.value = getattr(settings, name)
        label = potential_label(settings.model_dump())
        self._potentials[label] = potential_of(settings)
        self.potential.options = list(self._potentials)
        self.potential.value = label
        self.solver.value, self.criterion.value = settings.solver, settings.criterion
        self.sliders.reset()
        self.sliders.show(settings.hyperparameters)
        self.mode.value = settings.mode

    @property
    def _electrons(self) -> tuple[int, int]:
        return self.electrons["charge"].value, self.electrons["multiplicity"].value

    def _asked_electrons(self) -> dict[str, int]:
        """The settings of charge and multiplicity, where they are not the molecule's own."""
        own = dict(zip(_ELECTRONS, self.chosen.electrons, strict=True))
        shown = {name: widget.value for name, widget in self.electrons.items()}
        return {name: value for name, value in shown.items() if value != own[name]}

    def _show_molecule(self) -> None:
        """Show what the chosen molecule brings, and drop what was chosen of another's atoms."""
        self.mode.forget()
        for widget, value in zip(self.electrons.values(), self.chosen.electrons, strict=True):
            widget.value = value

    def _fit_multiplicity(self) -> None:
        """Show the lowest multiplicity at that charge, where the one shown can't be."""
        numbers = self.chosen.atomic_numbers
        if electrons_problem(numbers, *self._electrons):
            least = lowest_multiplicity(numbers, self.electrons["charge"].value)
            self.electrons["multiplicity"].value = least

    def _start_from(self) -> str:
        shown, given = (self.anchor.value, self.noise.value), self._given["start_from"]
        return given if shown == shown_as(given) else recipe(shown[0], round(shown[1], 3))

    def _show_solver(self, _: Any) -> None:
        self._slider_box.children = [self.sliders.box]

    def _show_defaults(self) -> None:
        self.sliders.reset()
        self.tried.value = ""

    def _show_best(self) -> None:
        where = self.study.value, self._settings.study_name
        try:
            best = study_best(*where, self.solver.value)
            self._show_words(best.words)
            self.sliders.show(best.hyperparameters)
            note = tuned_for_else(*where, self.task().settings)
        except InputError as error:
            self.tried.value = ""
            self.say(str(error))
            return
        self.tried.value = table(words_table(best.tried))
        words = ", ".join(f"{name} {word}" for name, word in best.words.items())
        also = f", and what it chose: {words}" if words else ""
        at_end = ends_told(best.at_ends)
        told = f"The sliders show the best values of the study{also}. {at_end} {note}"
        told = " ".join(told.split())
        (self.say if note else self.done)(told)

    def _show_words(self, words: Mapping[str, str]) -> None:
        """Set the settings that a study has chosen a word for."""
        if STARTS in words:
            self._show_recipe(words[STARTS])
        if "mode" in words:
            self.mode.value = words["mode"]

    def _show_recipe(self, start_from: str) -> None:
        anchor, noise = shown_as(start_from)
        if anchor not in self.anchor.options:
            self.anchor.options = (*self.anchor.options, anchor)
        self.anchor.value = anchor
        self.noise.max = max(self.noise.max, noise)
        self.noise.value = noise


def _noise_slider(noise: float) -> Any:
    return w.FloatSlider(
        value=noise,
        min=0,
        max=max(noise, MAX_NOISE / 2),
        step=0.05,
        description="noise (Å)",
        tooltip="standard deviation of the Gaussian noise on every coordinate of the start",
        style={"description_width": "130px"},
        layout={"width": "100%"},
        continuous_update=False,
    )
