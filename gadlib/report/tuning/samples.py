"""A study's samples, trial by trial: which ones no values solve, and how difficult each is."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import optuna
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator
from optuna.trial import TrialState

from gadlib.report.style import BLUE, GREY, LEGEND, VERMILLION, axes_or_new, say
from gadlib.report.tuning.study import place_of

_NOTHING = "No completed trial of this study tells what became of its samples."


class Samples(NamedTuple):
    """What became of S samples in T completed trials.

    Attributes:
        names: of the samples, the hardest first: solved by the fewest trials, then in most steps.
        trials: their numbers, by the first objective, the best last.
        solved: S by T, 1 where it converged, 0 where not, NaN where the trial did not tell.
        steps: S by T.
        never: the names that no trial solved.
        worked: 1 where the screening of the study solved the sample, 0 where not, NaN where it does
            not say.
    """

    names: tuple[str, ...]
    trials: np.ndarray
    solved: np.ndarray
    steps: np.ndarray
    never: tuple[str, ...]
    worked: np.ndarray


def collect_samples(study: optuna.Study) -> Samples:
    """The samples of a study's completed trials; none where they were not kept, as in others'."""
    place, objective = place_of(study, None)
    sign = -1.0 if objective.is_cost else 1.0
    completed = [
        t
        for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if t.values is not None and _kept(t.user_attrs.get("samples"))
    ]
    completed.sort(key=lambda t: sign * t.values[place])
    names = list(dict.fromkeys(s["name"] for t in completed for s in t.user_attrs["samples"]))
    solved = np.full((len(names), len(completed)), np.nan)
    steps = np.full_like(solved, np.nan)
    place = {name: i for i, name in enumerate(names)}
    for column, trial in enumerate(completed):
        for sample in trial.user_attrs["samples"]:
            solved[place[sample["name"]], column] = float(bool(sample["converged"]))
            steps[place[sample["name"]], column] = float(sample.get("steps") or 0)
    rates = np.array([np.nanmean(row) for row in solved])
    means = np.array([np.nanmean(row) for row in steps])
    order = np.lexsort((-means, rates))
    worked = _worked(study)
    return Samples(
        names=tuple(names[i] for i in order),
        trials=np.array([t.number for t in completed], dtype=int),
        solved=solved[order],
        steps=steps[order],
        never=tuple(names[i] for i in order if rates[i] == 0),
        worked=np.array([worked.get(names[i], math.nan) for i in order]),
    )


def _worked(study: optuna.Study) -> dict[str, float]:
    """By its name whether the screening of the study solved a reaction."""
    screened = study.user_attrs.get("screening")
    if screened is None or not _kept(screened):
        return {}
    return {s["name"]: float(bool(s["converged"])) for s in screened}


def _kept(samples: object) -> bool:
    return (
        isinstance(samples, list)
        and len(samples) > 0
        and all(isinstance(s, dict) and {"name", "converged"} <= s.keys() for s in samples)
    )


def never_sentence(samples: Samples) -> str:
    """Which samples no trial solved, in a sentence."""
    if not samples.names:
        return _NOTHING
    if not samples.never:
        return f"Each of the {len(samples.names)} samples was solved by some trial."
    return (
        f"No trial solved {len(samples.never)} of {len(samples.names)} samples:"
        f" {', '.join(samples.never)}."
    )


def kept_sentence(samples: Samples) -> str:
    """What the best trial does on the samples that worked before, in a sentence."""
    if not samples.names:
        return _NOTHING
    rows = samples.solved[samples.worked == 1]
    if not len(rows):
        return _none_worked(samples)
    best, number = int(np.nansum(rows[:, -1])), samples.trials[-1]
    sentence = f"the best trial ({number}) solves {best}"
    if len(defaults := rows[:, samples.trials == 0].T) and number:
        sentence += f", trial 0 with the defaults {int(np.nansum(defaults[0]))}"
    return f"Of the {len(rows)} samples that converged in the screening {sentence}."


def _none_worked(samples: Samples) -> str:
    if np.isnan(samples.worked).all():
        return "The study does not say which of its samples converged in the screening."
    return (
        f"None of the {len(samples.names)} samples converged in the screening, so that none can"
        " be lost here; what becomes of easy reactions is for the validation to say."
    )


def draw_kept(samples: Samples, *, ax: Axes | None = None) -> Axes:
    """The rate of each trial on the samples that the screening solved, and on those it did not."""
    ax = axes_or_new(ax, height=2.8)
    if not samples.names:
        return say(ax, _NOTHING)
    if not (samples.worked == 1).any():
        return say(ax, _none_worked(samples))
    order = np.argsort(samples.trials)
    groups = ((1.0, BLUE, "o", "converged then"), (0.0, VERMILLION, "x", "did not"))
    for worked, colour, marker, label in groups:
        rows = np.ma.masked_invalid(samples.solved[samples.worked == worked])
        if len(rows):
            rates = rows.mean(axis=0)[order]
            label = f"{label} ({len(rows)})"
            ax.plot(samples.trials[order], rates, marker, ls=":", lw=1, color=colour, label=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(ylim=(-0.05, 1.05), xlabel="trial", ylabel="fraction that converges")
    ax.set_title("Samples by what the screening found", loc="left")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="in the screening", **LEGEND)
    return ax


def samples_table(samples: Samples) -> pd.DataFrame:
    """One row per sample, hardest first: the share of trials that solved it, its mean steps."""
    rows = [
        {
            "sample": name,
            "screening": {1.0: "converged", 0.0: "not converged"}.get(worked, "-"),
            "solved by": f"{np.nanmean(solved):.0%}",
            "trials": int(np.isfinite(solved).sum()),
            "mean steps": round(float(np.nanmean(steps)), 1),
        }
        for name, worked, solved, steps in zip(
            samples.names, samples.worked, samples.solved, samples.steps, strict=True
        )
    ]
    return pd.DataFrame(rows)


def draw_samples(samples: Samples, *, ax: Axes | None = None) -> Axes:
    """Samples by trials, the hardest sample on top and the best trial on the right."""
    ax = axes_or_new(ax, width=9.0, height=max(2.4, 0.2 * len(samples.names) + 1.2))
    if not samples.names:
        return say(ax, _NOTHING)
    colours = ListedColormap([GREY, BLUE]).with_extremes(bad="white")
    ax.imshow(
        np.ma.masked_invalid(samples.solved),
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        vmin=0,
        vmax=1,
        extent=(0, len(samples.trials), len(samples.names), 0),
    )
    ax.set_yticks(np.arange(len(samples.names)) + 0.5, samples.names)
    for tick, name in zip(ax.get_yticklabels(), samples.names, strict=True):
        tick.set_color(VERMILLION if name in samples.never else "black")
    for label, colour in (("converged", BLUE), ("not", GREY)):
        ax.fill_between([], [], color=colour, label=label)
    ax.grid(visible=False)
    ax.set(xlabel="trials, by score, the best on the right")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), **LEGEND)
    ax.set_title("Samples by difficulty; in red: never converged", loc="left")
    return ax
