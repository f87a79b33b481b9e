"""What searches are asked to do: single ones, a screening, those of the page."""

from __future__ import annotations

from pydantic import Field

from gadlib.settings import criteria
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.effects import CHOICE, HYPERPARAMETERS, STARTS, WHERE, Count, Seed


class SetSettings(CalculatorSettings):
    """How a set of reactions is searched, whatever with and from wherever."""

    hyperparameters: dict[str, float | int | str] = Field(
        {},
        description="hyperparameters of the solver that differ from their defaults",
        json_schema_extra=HYPERPARAMETERS,
    )
    mode: str = Field(
        "lowest",
        description="which mode is climbed first: lowest, reaction (the one that most breaks and"
        " makes the bonds that change from reactant to product), atoms:I,J,... or bonds:I-J,..."
        " (the one that moves or stretches these most; atoms count from 0)",
    )
    criterion: str = Field(
        "index1", description=f"what ends a search: one of {criteria.NAMES}; all are reported"
    )
    n_steps_per_sample: Count = Field(
        800, description="steps after which a search ends without success"
    )
    h5_path: str | None = Field(
        None,
        description="reactions in the Transition1x layout; none: the embedded set",
        json_schema_extra=STARTS,
    )
    split: str = Field(
        "test",
        description="train, val, test, several with commas between, or all",
        json_schema_extra=CHOICE,
    )
    noise_seed: Seed = Field(
        42,
        description="seed of the start noise; sample i draws with noise_seed + i",
        json_schema_extra=STARTS,
    )
    only: str | None = Field(
        None,
        description="name of the one reaction or geometry to take, as in rxn0007; none: all",
        json_schema_extra=CHOICE,
    )
    max_samples: Count = Field(100, description="reactions taken at most", json_schema_extra=CHOICE)
    sample: str = Field(
        "seeded",
        description="which they are where there are more: seeded (drawn from the whole split with"
        " sample_seed, in the order of the file) or first (the first of the split; files are"
        " ordered by formula, so these are small molecules)",
        json_schema_extra=CHOICE,
    )
    sample_seed: Seed = Field(
        0, description="seed that the sample is drawn with", json_schema_extra=CHOICE
    )
    workers: int = Field(
        1,
        ge=0,
        le=4096,
        description="processes that compute; 0 computes in this one, where a calculator that hangs"
        " can only be ended by kill -9",
        json_schema_extra=WHERE,
    )
    batch_size: Count = Field(
        8, description="molecules that step together in one process", json_schema_extra=WHERE
    )
    search_timeout_s: float | None = Field(
        None,
        gt=0,
        description="seconds without a step or an answer of the calculator, after which a process"
        " is ended and its molecule recorded as timed out (more than the calculator takes for a"
        " whole batch); none: never",
        json_schema_extra=WHERE,
    )
    resume: bool = Field(
        False,
        description="continue what is there; without it existing results are never touched",
        json_schema_extra=WHERE,
    )
    out_dir: str = Field("runs/search", description="folder for results", json_schema_extra=WHERE)


class SearchSettings(SetSettings):
    """How one set of saddle searches is run."""

    solver: str = Field("gad", description="step rule")
    start_from: str = Field(
        "midpoint_rt_noise1.0A",
        description="recipe of the starting points, as in ts or midpoint_rt_noise1.0A;"
        " `python -m gadlib starts` lists them",
    )


class ScreenSettings(SearchSettings):
    """Screening: every reaction once with the defaults, and few steps."""

    n_steps_per_sample: Count = Field(
        200, description="steps after which a reaction counts as difficult"
    )
    split: str = Field("train", description="train, val, test, several with commas between, or all")
    difficulty_threshold: float = Field(
        0.5,
        gt=0,
        le=1,
        description="fraction of the reactions, hardest first, that is kept",
        json_schema_extra=CHOICE,
    )
    out_dir: str = Field("runs/screen", description="folder for results")


class ExploreSettings(SearchSettings):
    """What the page of `notebooks/06_explore` begins with; most of it can be changed there."""

    geometries: str | None = Field(
        None, description="file of starting geometries (xyz, extxyz); none: a set of reactions"
    )
    best: str | None = Field(
        None, description="hpo_results.json, or the study's SQLite file or URL; its best values"
    )
    study_name: str | None = Field(
        None, description="name of the study in its storage; none: its only one"
    )
    start_from: str = Field("midpoint_rt_noise0.1A", description="starting points")
    split: str = Field("all", description="train, val, test, several with commas between, or all")
