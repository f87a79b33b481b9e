"""What a run is asked to do, declared once: name, default, meaning.

The command line, the parameter cells of the notebooks and the settings written into every result
file are derived from these classes. Knobs of a solver are hyperparameters and live in
`hyperparameters`. Floor 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

S = TypeVar("S", bound="Settings")


class InputError(ValueError):
    """What the user gave cannot be used; the message names it and says what was expected."""


def explain(error: ValidationError) -> str:
    """The reasons in a pydantic error, one sentence, without its framework's dressing."""
    reasons = []
    for item in error.errors():
        reason = item["msg"].removeprefix("Value error, ")
        place = ".".join(str(part) for part in item["loc"])
        reasons.append(f"{place} = {item['input']!r}: {reason}" if place else reason)
    return "; ".join(reasons)


class Settings(BaseModel):
    """Frozen settings; unknown names are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, values: Any) -> Any:
        for name in values if isinstance(values, Mapping) else ():
            if name not in cls.model_fields:
                near = difflib.get_close_matches(str(name), list(cls.model_fields), n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(
                    f"{name}: unknown setting{hint}; known: {', '.join(cls.model_fields)}"
                )
        return values

    @classmethod
    def read(cls: type[S], values: Mapping[str, Any]) -> S:
        """The settings from a mapping.

        Raises:
            InputError: when a name is unknown or a value is not of its type or range.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(explain(error)) from None

    @classmethod
    def from_namespace(cls: type[S], namespace: Mapping[str, Any]) -> S:
        """The settings whose values are variables of a notebook, as `globals()` holds them."""
        return cls.read({name: namespace[name] for name in cls.model_fields if name in namespace})


class SearchSettings(Settings):
    """How one set of saddle searches is run."""

    calculator: str = Field("scine", description="potential")
    scine_functional: str = Field("DFTB0", description="method of the scine calculator")
    solver: str = Field("gad", description="step rule")
    hyperparameters: dict[str, float] = Field(
        {}, description="knobs of the solver that differ from their defaults"
    )
    criterion: str = Field(
        "index1", description="what ends a search: index1, strict or bound; all three are reported"
    )
    n_steps_per_sample: int = Field(
        800, ge=1, description="steps after which a search ends without success"
    )
    h5_path: str | None = Field(
        None, description="reactions in the Transition1x layout; none: the embedded set"
    )
    split: str = Field("test", description="train, val, test, several with commas between, or all")
    start_from: str = Field(
        "midpoint_rt_noise1.0A",
        description="reactant, ts, product, midpoint_rt, three_quarter_rt or midpoint_rp,"
        " each with an optional _noise<A>A",
    )
    noise_seed: int = Field(
        42, ge=0, description="seed of the start noise; sample i draws with noise_seed + i"
    )
    max_samples: int = Field(
        100, ge=1, description="reactions taken at most, the first of the split"
    )
    workers: int = Field(1, ge=0, description="processes that compute; 0 computes in this one")
    batch_size: int = Field(8, ge=1, description="molecules that step together in one process")
    resume: bool = Field(
        False, description="continue what is there; without it existing results are never touched"
    )
    out_dir: str = Field("runs/search", description="folder for results")


class ScreenSettings(SearchSettings):
    """Screening: every reaction once with the defaults, and few steps."""

    n_steps_per_sample: int = Field(
        200, ge=1, description="steps after which a reaction counts as difficult"
    )
    split: str = Field("train", description="train, val, test, several with commas between, or all")
    difficulty_threshold: float = Field(
        0.5, gt=0, le=1, description="fraction of the reactions, hardest first, that is kept"
    )
    out_dir: str = Field("runs/screen", description="folder for results")


class TuneSettings(ScreenSettings):
    """Tuning: a study of hyperparameters on the difficult reactions."""

    n_steps_per_sample: int = Field(800, ge=1, description="steps of one search inside a trial")
    screening_steps: int = Field(
        200, ge=1, description="steps of the screening that finds the difficult reactions"
    )
    screening: str | None = Field(
        None, description="screening.json to take the difficult reactions from; none: screen first"
    )
    n_samples: int = Field(15, ge=1, description="reactions in a trial, the hardest ones")
    n_trials: int = Field(
        100, ge=1, description="trials in the study when it is done, those already there included"
    )
    n_startup_trials: int = Field(10, ge=0, description="random trials before TPE takes over")
    seed: int = Field(42, ge=0, description="seed of the sampler")
    study_name: str = Field("gad_hpo", min_length=1, description="name of the study in its storage")
    storage: str | None = Field(None, description="storage URL; none: an SQLite file in out_dir")
    out_dir: str = Field("runs/tune", description="folder for results")


class ValidateSettings(SearchSettings):
    """Validation: defaults against tuned values on reactions that tuning never saw."""

    best: str | None = Field(
        None,
        description="hpo_results.json with the tuned values;"
        " none: `hyperparameters` are the tuned ones",
    )
    split: str = Field(
        "val,test", description="train, val, test, several with commas between, or all"
    )
    out_dir: str = Field("runs/validate", description="folder for results")
