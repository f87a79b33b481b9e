"""The gain proved: defaults against tuned values on reactions that tuning never saw.

What is made of the records is `report`'s. Floor 6.
"""

from __future__ import annotations

from dataclasses import dataclass

from gadlib.input import InputError
from gadlib.outset import hyperparameters_of, starts_of, told_sample
from gadlib.records import Record, read_json, require_writable
from gadlib.screen import screen
from gadlib.settings import SearchSettings, ValidateSettings


@dataclass(frozen=True)
class Validation:
    """The same starting points, in the same order, searched with the defaults and tuned."""

    hyperparameters: dict[str, float | int | str]
    default: list[Record]
    tuned: list[Record]


def validate(settings: ValidateSettings) -> Validation:
    """Defaults and tuned values on reactions that tuning never saw; both sets are resumable.

    Raises:
        InputError: when the tuned values can't be read, or the reactions are among those that
            tuning saw.
    """
    tuned, seen = tuned_values(settings)
    starts = starts_of(settings)
    if told := told_sample(settings):
        print(told, flush=True)
    known = sorted({s.name for s in starts} & seen)
    if known:
        told = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
        raise InputError(
            f"split {settings.split!r} has reactions that tuning saw ({told});"
            " expected a split of others"
        )
    out = require_writable(settings.out_dir)
    plain = SearchSettings.read(
        {name: getattr(settings, name) for name in SearchSettings.model_fields}
    )

    def searched(values: dict[str, float | int | str], name: str) -> list[Record]:
        return screen(
            plain.model_copy(update={"hyperparameters": values}),
            starts=starts,
            out=out / f"{name}.json",
        )

    hyperparameters_of(plain.model_copy(update={"hyperparameters": tuned}))
    return Validation(tuned, searched({}, "default"), searched(tuned, "tuned"))


def tuned_values(settings: ValidateSettings) -> tuple[dict[str, float | int | str], set[str]]:
    """The tuned hyperparameters, and the names of the reactions that tuning saw.

    Raises:
        InputError: when `best` is not a results file with a completed trial, or there is nothing to
            validate.
    """
    if settings.best is None:
        if not settings.hyperparameters:
            raise InputError(
                "nothing to validate: expected --best hpo_results.json, or hyperparameters"
            )
        return dict(settings.hyperparameters), set()
    content = read_json(settings.best)
    if not isinstance(content, dict) or "best_params" not in content:
        raise InputError(f"{settings.best}: expected an hpo_results.json with best_params")
    if not content["best_params"]:
        raise InputError(f"{settings.best}: no completed trial in it, so there are no best values")
    seen = set(content.get("about", {}).get("reactions", []))
    return content["best_params"] | settings.hyperparameters, seen
