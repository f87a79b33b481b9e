"""A study: how the score rose, and where the best values lie in their ranges."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gadlib.cluster.retries import StorageLostError
from gadlib.report.style import BLUE, GREY, LEGEND, SKY, axes_or_new, panels, say, wrapped
from gadlib.settings.objectives import OBJECTIVES, Objective
from gadlib.settings.reading import InputError
from gadlib.tuning.front import completed, objectives_in, preferred
from gadlib.tuning.ranges import Range, range_of
from gadlib.tuning.status import read_rungs
from gadlib.tuning.study import load


class Word(NamedTuple):
    """What not all trials draw as a number from one range: a choice of words, or a number.

    Attributes:
        name: of it.
        default: what trial 0 has, None where that does not draw it or did not complete.
        best: what the best trial has, None where that does not draw it.
        among: what it is drawn from, in words.
        choices: the words that it is chosen from; none of a number.
        values: what each of the T trials has, None where one does not draw it.
    """

    name: str
    default: str | None
    best: str | None
    among: str
    choices: tuple[str, ...] = ()
    values: tuple[str | None, ...] = ()

    def places(self) -> np.ndarray:
        """Of each trial the place of its word among the choices, NaN where it has none."""
        known = {word: float(place) for place, word in enumerate(self.choices)}
        return np.array([known.get(value or "", np.nan) for value in self.values])


class Trials(NamedTuple):
    """The completed trials of a study, in their order.

    Attributes:
        study_name: of the study.
        n_failed: trials that ended without a score.
        numbers: of the trials.
        scores: of the trials, by the objective.
        ranges: of the hyperparameters.
        values: T trials by P hyperparameters.
        best: the row of the best trial, of a study with several objectives of the one to take
            (`tuning.front.preferred`); None where no trial completed.
        default: the row of trial 0, which runs the defaults; None where it did not complete.
        objective: which one the scores are by.
        words: what is drawn besides: choices, and numbers that act under some of them only.
    """

    study_name: str
    n_failed: int
    numbers: np.ndarray
    scores: np.ndarray
    ranges: tuple[Range, ...]
    values: np.ndarray
    best: int | None
    default: int | None
    objective: Objective = OBJECTIVES["converged"]
    words: tuple[Word, ...] = ()

    @property
    def chosen(self) -> tuple[Word, ...]:
        """The choices of words alone."""
        return tuple(word for word in self.words if word.choices)

    @property
    def merits(self) -> np.ndarray:
        """The scores, of a cost its negative: more is better."""
        return -self.scores if self.objective.is_cost else self.scores

    @property
    def label(self) -> str:
        """What the scores are called on an axis."""
        return "score" if self.objective.name == "converged" else self.objective.label

    @property
    def best_so_far(self) -> np.ndarray:
        """After each trial the best score until then."""
        is_cost = self.objective.is_cost
        return (np.minimum if is_cost else np.maximum).accumulate(self.scores)

    @property
    def nothing_yet(self) -> str:
        """The sentence to show where no trial completed."""
        return f"Study {self.study_name!r} has no completed trial yet ({self.n_failed} failed)."


def read_study(storage: str, study_name: str | None = None) -> optuna.Study:
    """The study; where it can't be read, an empty one, after a sentence that says why.

    So that whatever does not depend on the study can still be drawn.
    """
    try:
        return load(storage, study_name)
    except (InputError, StorageLostError) as error:
        print(wrapped(str(error)))
        return empty_study(study_name)


def empty_study(
    study_name: str | None = None,
    directions: Sequence[StudyDirection] = (StudyDirection.MAXIMIZE,),
) -> optuna.Study:
    """A study in memory, made without a word."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(directions=directions, study_name=study_name)
    finally:
        optuna.logging.set_verbosity(before)


def collect_trials(study: optuna.Study, objective: str | None = None) -> Trials:
    """The completed trials of a study.

    Args:
        study: with one objective or several.
        objective: which one scores are by; None: the first.

    Raises:
        InputError: when the study has no such objective.
    """
    trials = study.get_trials(deepcopy=False)
    place, chosen = place_of(study, objective)
    found = completed(study)
    ranges = _ranges(found)
    scores = np.array([t.values[place] for t in found], dtype=float)
    numbers = np.array([t.number for t in found], dtype=int)
    best = preferred(study)
    row = None if best is None else int(np.flatnonzero(numbers == best.number)[0])
    return Trials(
        study_name=study.study_name,
        n_failed=sum(t.state is TrialState.FAIL for t in trials),
        numbers=numbers,
        scores=scores,
        ranges=ranges,
        values=np.array([[t.params[r.name] for r in ranges] for t in found], dtype=float),
        best=row,
        default=0 if found and numbers[0] == 0 else None,
        objective=chosen,
        words=_words(found, {r.name for r in ranges}, None if row is None else found[row]),
    )


def _words(
    found: Sequence[FrozenTrial], numbers: Collection[str], best: FrozenTrial | None
) -> tuple[Word, ...]:
    drawn = {name: kind for t in found for name, kind in t.distributions.items()}
    first = found[0] if found and found[0].number == 0 else None

    def of(trial: FrozenTrial | None, name: str) -> str | None:
        value = None if trial is None else trial.params.get(name)
        return f"{value:.3g}" if isinstance(value, float) else value and str(value)

    return tuple(
        Word(
            *(name, of(first, name), of(best, name), among(kind)),
            choices=tuple(map(str, getattr(kind, "choices", ()))),
            values=tuple(of(trial, name) for trial in found),
        )
        for name, kind in drawn.items()
        if name not in numbers
    )


def among(kind: BaseDistribution) -> str:
    """What a value is drawn from, in words."""
    if isinstance(kind, CategoricalDistribution):
        return ", ".join(map(str, kind.choices))
    if isinstance(kind, FloatDistribution | IntDistribution):
        return f"{kind.low:g} .. {kind.high:g}, in some trials"
    return str(kind)


def objectives_shown(study: optuna.Study) -> tuple[Objective, ...]:
    """The objectives of a study; those of other programs have no names, and are numbered."""
    known = objectives_in(study.user_attrs)
    costs = [direction is StudyDirection.MINIMIZE for direction in study.directions]
    if [one.is_cost for one in known] == costs:
        return known
    return tuple(
        Objective(f"objective {i}", "", is_cost=is_cost) for i, is_cost in enumerate(costs)
    )


def place_of(study: optuna.Study, objective: str | None) -> tuple[int, Objective]:
    """The place of an objective among the study's, and that objective; None: the first.

    Raises:
        InputError: when the study has no such objective.
    """
    known = objectives_shown(study)
    names = [one.name for one in known]
    if objective is not None and objective not in names:
        raise InputError(
            f"objective {objective!r}: not one of study {study.study_name!r}; expected one of"
            f" {', '.join(names)}"
        )
    place = 0 if objective is None else names.index(objective)
    return place, known[place]


def _ranges(completed: list[FrozenTrial]) -> tuple[Range, ...]:
    if not completed:
        return ()
    shared = {
        name: distribution
        for name, distribution in completed[0].distributions.items()
        if isinstance(distribution, FloatDistribution | IntDistribution)
        and all(name in t.params for t in completed)
    }
    return tuple(range_of(name, d) for name, d in shared.items())


def draw_history(trials: Trials, *, ax: Axes | None = None) -> Axes:
    """The score of every trial, the best so far, and the defaults as a line."""
    ax = axes_or_new(ax)
    if trials.best is None:
        return say(ax, trials.nothing_yet)
    ax.scatter(trials.numbers, trials.scores, s=18, color=SKY, label="trial", zorder=2)
    ax.step(trials.numbers, trials.best_so_far, where="post", color=BLUE, label="best so far")
    if trials.default is not None:
        ax.axhline(trials.scores[trials.default], color=GREY, linestyle="--", label="defaults")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    failed = f", {trials.n_failed} failed" if trials.n_failed else ""
    title = f"{trials.study_name}: {len(trials.numbers)} completed{failed}"
    ax.set(xlabel="trial", ylabel=trials.label, title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    return ax


def live_history() -> Callable[[optuna.Study], None]:
    """A function of a study that redraws its history in place, for `on_trial` of `gadlib.tune`."""
    from IPython.display import display

    handle = display("no trial has completed yet", display_id=True)

    def redraw(study: optuna.Study) -> None:
        figure, axes = panels()
        ax = draw_history(collect_trials(study), ax=axes[0, 0])
        if shown := "; ".join(map(str, read_rungs(study))):
            ax.set_title(f"{ax.get_title()}\n{shown}", fontsize="small")
        if handle is not None:
            handle.update(figure)
        plt.close(figure)

    return redraw
