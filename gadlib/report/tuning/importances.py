"""Which hyperparameters of a study matter, by two methods.

References: as in `collect_importances`, and in `anova`.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import optuna
from matplotlib.axes import Axes
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import TrialState

from gadlib.report.style import BLUE, LEGEND, ORANGE, axes_or_new, say
from gadlib.report.tuning.anova import Fanova
from gadlib.report.tuning.parts import within_ranges
from gadlib.report.tuning.study import place_of

METHOD_COLOURS = {"PED-ANOVA": BLUE, "fANOVA": ORANGE}


class Importances(NamedTuple):
    """The share of each hyperparameter in the variation of the score.

    Attributes:
        names: of the hyperparameters, the most important (PED-ANOVA) first.
        shares: by the name of the method, in the order of `names`.
        reason: why a method could not say, in a sentence.
    """

    names: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]
    reason: str


def collect_importances(
    study: optuna.Study, objective: str | None = None, *, n_trees: int = 64
) -> Importances:
    """Importances by PED-ANOVA (Watanabe et al., IJCAI 2023, 4389), and by fANOVA where it can.

    Trials with a value outside of the ranges, as the defaults may have, are left out.

    Args:
        study: with one objective or several.
        objective: for which of them; None: the first.
        n_trees: of fANOVA's forest, whose time is proportional to them.

    Raises:
        InputError: when the study has no such objective.
    """
    place, chosen = place_of(study, objective)
    study = within_ranges(study)
    sign = 1.0 if chosen.is_cost else -1.0  # PED-ANOVA takes less for better
    target = (lambda t: sign * t.values[place]) if len(study.directions) > 1 else None
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < 2:
        return Importances((), {}, "It has fewer than two completed trials in its ranges.")
    methods = {
        "PED-ANOVA": PedAnovaImportanceEvaluator,
        "fANOVA": lambda: Fanova(n_trees=n_trees, seed=0),
    }
    found, reasons = {}, []
    for method, evaluator in methods.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                # That less is taken for better is what the target is made for.
                warnings.filterwarnings("ignore", ".*to achieve low `target`.*", UserWarning)
                # Equal shares say nothing: too few trials, or all of them alike.
                warnings.filterwarnings("error", ".*will be equal.*", UserWarning)
                found[method] = optuna.importance.get_param_importances(
                    study, evaluator=evaluator(), target=target
                )
        except (UserWarning, ValueError, RuntimeError, ImportError) as error:
            reasons.append(f"{method}: {str(error).splitlines()[0]}")
    found = {method: shares for method, shares in found.items() if shares}
    names = tuple(next(iter(found.values()))) if found else ()
    return Importances(
        names,
        {method: tuple(float(shares[n]) for n in names) for method, shares in found.items()},
        " ".join(reasons),
    )


def draw_importances(importances: Importances, *, ax: Axes | None = None) -> Axes:
    """Bars of the shares, most important on top."""
    ax = axes_or_new(ax, height=3.8)
    if not importances.names:
        return say(ax, f"No importances can be told from this study. {importances.reason}")
    places = np.arange(len(importances.names))
    height = 0.8 / len(importances.shares)
    for i, (method, shares) in enumerate(importances.shares.items()):
        shift = (i - (len(importances.shares) - 1) / 2) * height
        ax.barh(places + shift, shares, height, label=method, color=METHOD_COLOURS[method])
    ax.set_yticks(places, importances.names)
    ax.invert_yaxis()
    ax.set(xlabel="share of the score's variation", title="Importance of the hyperparameters")
    ax.legend(loc="lower right", **LEGEND)
    return ax
