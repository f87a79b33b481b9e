"""A profile written: tuned values, what they were tuned for, the study, and what they gained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gadlib.files.reading import read_json
from gadlib.files.writing import write_json
from gadlib.report.validation.comparison import Comparison, Paired, collect_comparison
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import read_results
from gadlib.screening.setup import read_best
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.reading import InputError

_OF_TRIAL = ("number", "state", "score", "scores", "params", "seed", "n_samples")
_OF_STUDY = (
    *("study_name", "study_id", "objectives", "best_trial", "best_at_ends", "race", "versions"),
)

_OF_MACHINE = ("out_dir", "storage", "screening", "keep_calls", "best")
"""Settings that say where something lies, which a file that goes to others has no use for."""


def write_profile(name: str, best: str | Path, validation: str | Path, out: str | Path) -> Path:
    """The path of the profile that was written.

    Args:
        name: of the profile.
        best: the study's `hpo_results.json`.
        validation: the folder that `validate` wrote, of reactions that tuning never saw.
        out: a folder, or the file.

    Raises:
        InputError: when a file can't be read, the validation is of other values, or the file
            exists.
    """
    tuned, content = read_best(best), read_json(best)
    sides = {}
    for side in ("default", "tuned"):
        found, sides[side] = read_results(Path(validation) / f"{side}.json")
    used = found.settings.get("hyperparameters", {})
    words = {name: found.settings.get(name) for name in tuned.best_choices}
    if used != tuned.best_params or words != tuned.best_choices:
        raise InputError(
            f"{validation}: made with other values than those of {best}; expected its validation"
        )
    comparison = collect_comparison(sides["default"], sides["tuned"])
    path = Path(out) / f"{name}.json" if Path(out).suffix != ".json" else Path(out)
    if path.exists():
        raise InputError(f"{path}: exists; expected another name or --out, nothing is overwritten")
    costs = [[gradients_of(r) for r in sides[side]] for side in ("default", "tuned")]
    profile: dict[str, Any] = {
        "name": name,
        "sentence": _sentence(comparison, costs),
        "best_params": dict(tuned.best_params),
        "best_choices": dict(tuned.best_choices),
        "about": content["about"],
        "held_out": {
            "settings": _settings(found.settings, "hyperparameters"),
            "reactions": [r.name for r in sides["default"]],
            "converged": [[r.converged for r in sides[side]] for side in ("default", "tuned")],
            "gradients": costs,
        },
        **{key: content.get(key) for key in _OF_STUDY},
        "settings": _settings(content.get("settings") or {}),
        "trials": [{key: t.get(key) for key in _OF_TRIAL} for t in content["trials"]],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, profile)
    return path


def _settings(settings: Mapping[str, Any], *without: str) -> dict[str, Any]:
    out = (*_OF_MACHINE, *without)
    return {k: v for k, v in settings.items() if k not in out and v is not None}


def _sentence(comparison: Comparison, costs: list[list[int]]) -> str:
    found = comparison.converged
    mean = [sum(side) / max(1, len(side)) for side in costs]
    asked = [one for one in comparison.criteria if CRITERIA[one.criterion].is_asked]
    also = "".join(f"; {one.criterion}: {_gained(one)}" for one in asked)
    return (
        f"{found.default.n} reactions that tuning never saw; {found.criterion}: {_gained(found)}"
        f"{also}; {mean[1]:.0f} instead of {mean[0]:.0f} gradients in the mean"
    )


def _gained(found: Paired) -> str:
    return (
        f"{found.tuned} instead of {found.default}, gained {found.gained}, lost {found.lost}"
        f" (p = {found.p:.2g})"
    )
