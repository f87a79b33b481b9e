"""What a study that is there has chosen already, so that it goes on with the same reactions."""

from __future__ import annotations

from typing import Any

import optuna

from gadlib.cluster.retries import RetryingStorage
from gadlib.tuning.front import ABOUT
from gadlib.tuning.raced import raced_names
from gadlib.tuning.study import names_in


def easy_in(storage: RetryingStorage, study_name: str) -> list[str] | None:
    """The names of the easy reactions of a study that is there; None where there is none yet."""
    kept = _attributes_in(storage, study_name).get(ABOUT)
    return None if kept is None else kept.get("easy", [])


def raced_in(storage: RetryingStorage, study_name: str) -> list[str]:
    """The names of the reactions of the race that a study has held or begun; none of another."""
    return raced_names(_attributes_in(storage, study_name))


def _attributes_in(storage: RetryingStorage, study_name: str) -> dict[str, Any]:
    """The attributes of a study that is there; none where there is none yet."""
    if study_name not in names_in(storage):
        return {}
    return optuna.load_study(study_name=study_name, storage=storage).user_attrs
