"""A profile written: tuned values, what they were tuned for, the study, and what they gained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gadlib.files.reading import read_json
from gadlib.files.writing import write_json
from gadlib.report.validation.comparison import Comparison, collect_comparison
from gadlib.screening.costs import gradients_of
from gadlib.screening.records import read_results
from gadlib.screening.setup import read_best
from gadlib.settings.reading import InputError

_OF_TRIAL = ("number", "state", "score", "scores", "params", "seed", "n_samples")
_OF_STUDY = ("study_name", "study_id", "objectives", "best_trial", "race", "settings", "versions")


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
            "settings": {k: v for k, v in found.settings.items() if k != "hyperparameters"},
            "reactions": [r.name for r in sides["default"]],
            "converged": [[r.converged for r in sides[side]] for side in ("default", "tuned")],
            "gradients": costs,
        },
        **{key: content.get(key) for key in _OF_STUDY},
        "trials": [{key: t.get(key) for key in _OF_TRIAL} for t in content["trials"]],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, profile)
    return path


def _sentence(comparison: Comparison, costs: list[list[int]]) -> str:
    found = comparison.converged
    mean = [sum(side) / max(1, len(side)) for side in costs]
    return (
        f"{found.criterion}: {found.tuned} instead of {found.default} of {found.default.n}"
        f" reactions that tuning never saw, gained {found.gained}, lost {found.lost}"
        f" (p = {found.p:.2g}); {mean[1]:.0f} instead of {mean[0]:.0f} gradients in the mean"
    )
