"""Studies of one question with different seeds: what they agree on is not luck."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from gadlib.cluster.urls import without_password
from gadlib.settings.studies import TuneSettings
from gadlib.tuning.asked import require_settings
from gadlib.tuning.samples import difficult_samples
from gadlib.tuning.study import default_storage
from gadlib.tuning.tune import tune

APART = 1000
"""Between the seeds of two studies: workers of one add the numbers of their first trials."""


def of_seeds(settings: TuneSettings) -> list[TuneSettings]:
    """The settings of each study: its seed, its name, its folder; in one storage if one is named.

    Those of one study are as they are. Several take the screening that is named, or the one that is
    made in the folder of them all.
    """
    if settings.seeds == 1:
        return [settings]
    out = Path(settings.out_dir)
    screening = settings.screening or str(out / "screening.json")
    return [
        settings.model_copy(
            update={
                "seed": (settings.seed + APART * i) % 2**32,
                "study_name": f"{settings.study_name}_seed{i}",
                "out_dir": str(out / f"seed{i}"),
                "screening": screening,
                "seeds": 1,
            }
        )
        for i in range(settings.seeds)
    ]


def tune_seeds(
    settings: TuneSettings, *, on_trial: Callable[[optuna.Study], Any] | None = None
) -> list[optuna.Study]:
    """The studies of `settings.seeds` seeds, one after the other, with all workers on each.

    They share the samples that were computed: the defaults, trial 0 of each, are searched once.

    Args:
        settings: of the studies.
        on_trial: called with the study after every trial that this worker has finished.

    Raises:
        InputError: as `tune`.
        StorageLostError: as `tune`.
    """
    require_settings(settings)
    if settings.screening is None and settings.seeds > 1:
        difficult_samples(settings)
    cache = Path(settings.out_dir) / "samples"
    return [tune(one, on_trial=on_trial, cache=cache) for one in of_seeds(settings)]


def storages_of(settings: TuneSettings) -> str:
    """The storages of the studies, with commas between, as `gadlib report` takes them."""
    return ",".join(dict.fromkeys(default_storage(one) for one in of_seeds(settings)))


def storages_shown(settings: TuneSettings) -> str:
    """The same as they may be printed, each without its password."""
    return ",".join(map(without_password, storages_of(settings).split(",")))
