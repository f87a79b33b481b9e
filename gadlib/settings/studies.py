"""What a study, and the validation of its best values, are asked to do."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gadlib.settings import objectives
from gadlib.settings.effects import CHOICE, DRAWN, HYPERPARAMETERS, N_MAX, WHERE, Count, Seed
from gadlib.settings.objectives import KNEE, OBJECTIVES
from gadlib.settings.reading import Settings
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.settings.topics import shown_as


class TuneSettings(ScreenSettings):
    """Tuning: a study of hyperparameters on the difficult reactions."""

    topic: ClassVar[str] = "study"

    n_steps_per_sample: Count = Field(800, description="steps of one search inside a trial")
    screening_steps: Count = Field(
        200,
        description="steps of the screening that finds the difficult reactions",
        json_schema_extra=CHOICE | shown_as("sample"),
    )
    screening: str | None = Field(
        None,
        description="screening.json to take the difficult reactions from; none: screen first",
        json_schema_extra=CHOICE | shown_as("sample", form="FILE.json"),
    )
    n_samples: Count = Field(
        15,
        description="reactions in a trial, by trial_samples",
        json_schema_extra=CHOICE | shown_as("sample"),
    )
    trial_samples: str = Field(
        "hardest",
        description="which of the difficult reactions trials take: hardest, or strata (drawn with"
        " sample_seed, one from each stratum of difficulty and size)",
        pattern="^(hardest|strata)$",
        json_schema_extra=CHOICE | shown_as("sample", words=("hardest", "strata")),
    )
    easy_share: float = Field(  # a fifth of the samples costs 6 % of the gradients for gad, and
        0.2,  # 13 % for trust (docs/measurements/tuning.md); one of five says little
        ge=0,
        le=1,
        description="easy reactions, which the screening solved, that each trial which is not ended"
        " early searches besides, as a share of n_samples; how many of them converge is told beside"
        " the score, of which it is no part (a study that is there keeps its own)",
        json_schema_extra=CHOICE | shown_as("sample", form="FRACTION"),
    )
    n_trials: Count = Field(
        100,
        description="trials in the study when it is done, those already there included",
        json_schema_extra=DRAWN,
    )
    objective: str = Field(
        "auto",
        description=f"what is tuned for, several with commas between: {objectives.NAMES}; auto:"
        " converged, as published, for solver gad, else gradients (a study that is there keeps its"
        " own)",
        json_schema_extra=CHOICE | shown_as(form="OBJECTIVES", words=("auto", *OBJECTIVES)),
    )
    constraints: str | None = Field(
        None,
        description="bounds that the best trial has to keep, as in bound>=0.9,steps<=80; samplers"
        " look for trials that do",
        json_schema_extra=DRAWN | shown_as(form="BOUNDS"),
    )
    prefer: str = Field(
        KNEE,
        description="which of several best trials gives the tuned values: knee (where more of one"
        " objective costs much of another), or bounds as in bound>=0.95 (the best of those within"
        " them, or nearest)",
        json_schema_extra=DRAWN | shown_as(form="CHOICE"),
    )
    n_race: int = Field(
        0,
        ge=0,
        le=N_MAX,
        description="reactions of a race of the best trials and the defaults when the study is"
        " done, screened ones that no trial has seen; its winner gives the tuned values; 0: none",
        json_schema_extra=DRAWN,
    )
    n_candidates: Count = Field(
        4, description="trials in the race besides the defaults", json_schema_extra=DRAWN
    )
    sampler: str = Field(
        "tpe",
        description="tpe, gp, cmaes (one objective, no constraints), nsgaii, random or qmc",
        json_schema_extra=DRAWN | shown_as(words=("tpe", "gp", "cmaes", "nsgaii", "random", "qmc")),
    )
    n_startup_trials: int = Field(
        10,
        ge=0,
        le=N_MAX,
        description="random trials before the sampler takes over; of nsgaii the population",
        json_schema_extra=DRAWN,
    )
    ranges: dict[str, list[float]] = Field(
        {},
        description="ranges to draw from, [low, high] by hyperparameter, that differ from the"
        " declared ones",
        json_schema_extra=HYPERPARAMETERS,
    )
    choices: dict[str, list[str]] = Field(
        {},
        description="words to choose from, by name: of mode, start_from, and of the solver's words"
        " as exact_hessians; the word that is set must be among them, trial 0 runs with it",
        json_schema_extra=HYPERPARAMETERS,
    )
    pruning: str = Field(
        "best_possible",
        description="when a trial ends early: best_possible (when another is at least as good by"
        " each objective as it could still become), halving (besides, at a third of its samples and"
        " a ninth of them, unless it is among the best third so far), halving_steps (the same, with"
        " all samples at a ninth of their steps and at a third, from which they go on), wilcoxon"
        " (besides, when the best one is better on the same samples) or none",
        json_schema_extra=DRAWN
        | shown_as(words=("best_possible", "halving", "halving_steps", "wilcoxon", "none")),
    )
    seed: Seed = Field(
        42,
        description="seed of the sampler; a worker adds the number of its first trial",
        json_schema_extra=DRAWN,
    )
    seeds: Count = Field(
        1,
        description="studies with different seeds, one after the other, each in a folder and of a"
        " name of its own",
        json_schema_extra=DRAWN,
    )
    study_name: str = Field(
        "gad_hpo",
        min_length=1,
        max_length=500,
        description="name of the study in its storage",
        json_schema_extra=WHERE | shown_as("storage", form="NAME"),
    )
    storage: str | None = Field(
        None,
        description="storage URL; none: $GADLIB_STORAGE, else an SQLite file in out_dir"
        " (on network disks a journal)",
        repr=False,  # it may hold a password
        json_schema_extra=WHERE | shown_as("storage", form="URL"),
    )
    grace_s: float = Field(
        180.0,
        ge=2,
        le=1e6,
        description="time without a sign of life after which a worker is taken for dead",
        json_schema_extra=WHERE | shown_as("storage", unit="s"),
    )
    storage_timeout_s: float = Field(
        300.0,
        ge=0,
        le=1e6,
        description="time for which a storage that does not answer is asked again",
        json_schema_extra=WHERE | shown_as("storage", unit="s"),
    )
    out_dir: str = Field("runs/tune", description="folder for results")


class StudySettings(Settings):
    """Which study to look at."""

    topic: ClassVar[str] = "storage"

    storage: str | None = Field(
        None,
        description=TuneSettings.model_fields["storage"].description,
        repr=False,
        json_schema_extra=shown_as(form="URL"),
    )
    study_name: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="name of the study; none: the only one in the storage",
        json_schema_extra=shown_as(form="NAME"),
    )
    prefer: str | None = Field(
        None,
        description="which of several best trials gives the tuned values: knee or bounds as in"
        " bound>=0.95; none: as the study was asked",
        json_schema_extra=shown_as("study", form="CHOICE"),
    )
    calculator: str = Field(
        "scine",
        description="potential, part of the default storage's name",
        json_schema_extra=shown_as(words=TuneSettings.extra("calculator")["words"]),
    )
    out_dir: str = Field(
        "runs/tune",
        description="folder of the results",
        json_schema_extra=shown_as("output", form="FOLDER"),
    )


class ValidateSettings(SearchSettings):
    """Validation: defaults against tuned values on reactions that tuning never saw."""

    topic: ClassVar[str] = "values"

    best: str | None = Field(
        None,
        description="hpo_results.json with the tuned values;"
        " none: `hyperparameters` are the tuned ones",
        json_schema_extra=WHERE | shown_as(form="FILE.json"),
    )
    allow_transfer: bool = Field(
        False,
        description="validate values that were tuned for something else: another calculator,"
        " solver, start, criterion, mode or budget; the results say so",
        json_schema_extra=WHERE,
    )
    screening: str | None = Field(
        None,
        description="screening.json of these reactions, which says which are easy; none: results do"
        " not say",
        json_schema_extra=WHERE | shown_as("sample", form="FILE.json"),
    )
    split: str = Field(
        "val,test", description="train, val, test, several with commas between, or all"
    )
    out_dir: str = Field("runs/validate", description="folder for results")


class ProfileSettings(Settings):
    """What a profile is made of."""

    topic: ClassVar[str] = "output"

    name: str = Field(
        "profile",
        min_length=1,
        max_length=100,
        pattern=r"^[\w.+-]+$",
        description="name of the profile",
        json_schema_extra=shown_as(form="NAME"),
    )
    best: str | None = Field(
        None,
        description="hpo_results.json of the study; none: list the shipped profiles",
        json_schema_extra=shown_as("values", form="FILE.json"),
    )
    validation: str = Field(
        "runs/validate",
        description="folder that validate wrote of these values",
        json_schema_extra=shown_as("values", form="FOLDER"),
    )
    out_dir: str = Field(
        ".",
        description="folder for the profile",
        json_schema_extra=shown_as("output", form="FOLDER"),
    )
