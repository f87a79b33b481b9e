"""What a run is asked to do, declared once: name, default, meaning.

The command line, the parameter cells of the notebooks and the settings written into every result
file are derived from these classes. Knobs of a solver are hyperparameters and live in
`hyperparameters`; how settings are read is `input`'s. Floor 0.5.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic.config import JsonDict

from gadlib.settings.reading import Settings

_SCINE: JsonDict = {"of": "scine"}
_HIP: JsonDict = {"of": "hip"}
_ASE: JsonDict = {"of": "ase"}
_SURFACE: JsonDict = {"of": "surface"}
_WHERE: JsonDict = {"changes_results": False}
"""Where, how fast or for how long it is computed, and where results are put."""

_CHOICE: JsonDict = {"changes_results": False}
"""Which starting points are taken, of which each is searched as it would be among others."""

_DRAWN: JsonDict = {"changes_results": False}
"""Which trials a study has, of which each is worth what it would be worth in another."""

_STARTS: JsonDict = {"by": "starts"}
"""What changes results by the starting points alone; those, where they are at hand, say it best."""

_KNOBS: JsonDict = {"by": "knobs"}
"""What changes results by the values of hyperparameters, or those that they are drawn from."""

SEED_MAX = 2**32 - 1  # what generators of random numbers take
N_MAX = 10**7
"""More steps, molecules or trials than anything could end with."""

Seed = Annotated[int, Field(ge=0, le=SEED_MAX)]
Count = Annotated[int, Field(ge=1, le=N_MAX)]


_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,5})?")


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict | list | tuple):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


class CalculatorSettings(Settings):
    """Which potential, and its options.

    An option belongs to one calculator, or says only where and how fast it computes.
    """

    calculator: str = Field(
        "scine", description="potential; `python -m gadlib calculators` lists them"
    )
    scine_functional: str = Field(
        "DFTB0", description="method of the scine calculator", json_schema_extra=_SCINE
    )
    checkpoint_path: str | None = Field(
        None, description="checkpoint of the hip calculator (hip_v2.ckpt)", json_schema_extra=_HIP
    )
    hip_source: str | None = Field(
        None,
        description="folder of HIP's source; none: the environment variable HIP_SOURCE",
        json_schema_extra=_HIP | _WHERE,
    )
    trust_checkpoint: bool = Field(
        False,
        description="load a checkpoint that may run code of its own; only from a source you trust",
        json_schema_extra=_HIP | _WHERE,
    )
    hip_mean_atoms: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="atoms that HIP's energies are divided by; none: the checkpoint's, else the"
        " mean of its training set",
        json_schema_extra=_HIP,
    )
    hip_seed: Seed = Field(
        0, description="seed of HIP's random edge frames", json_schema_extra=_HIP
    )
    surface_name: str = Field(
        "muller_brown",
        description="analytic surface of the surface calculator",
        json_schema_extra=_SURFACE,
    )
    device: str = Field(
        "auto",
        description="auto, cpu, cuda or cuda:N; where hip computes",
        json_schema_extra=_WHERE,
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="threads of hip on the CPU; none: torch's",
        json_schema_extra=_WHERE,
    )
    ase_calculator: str | None = Field(
        None,
        description="import path of an ASE calculator, MODULE:NAME, such as tblite.ase:TBLite",
        json_schema_extra=_ASE,
    )
    ase_options: dict[str, Any] = Field(
        {}, description="its options, as JSON", json_schema_extra=_ASE
    )
    ase_displacement: float = Field(
        0.01,
        gt=0,
        le=0.1,
        description="displacement (A) of the differences that give a Hessian where it has none",
        json_schema_extra=_ASE,
    )

    @field_validator("ase_options", mode="before")
    @classmethod
    def _read_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON ({error})") from None

    @field_validator("ase_options")
    @classmethod
    def _require_numbers(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, one in value.items():
            if not _is_finite(one):
                raise ValueError(f"{name} is {one!r}: expected numbers that are finite")
        return value

    @field_validator("device")
    @classmethod
    def _require_device(cls, value: str) -> str:
        if not _DEVICE.fullmatch(value):
            raise ValueError("expected auto, cpu, cuda or cuda:N")
        return value

    @classmethod
    def options_of(cls, calculator: str) -> list[str]:
        """The settings that belong to the calculator of that name."""
        return [name for name in cls.model_fields if cls.extra(name).get("of") == calculator]

    def calculator_options(self) -> dict[str, Any]:
        """The options of the chosen calculator that its results depend on."""
        own = self.options_of(self.calculator)
        return {name: value for name, value in identity(self).items() if name in own}

    @classmethod
    def extra(cls, name: str) -> Mapping[str, Any]:
        """What is declared of a setting; a default declared anew leaves that as it was."""
        for kind in cls.__mro__:
            field = getattr(kind, "model_fields", {}).get(name)
            if field is not None and isinstance(field.json_schema_extra, Mapping):
                return field.json_schema_extra
        return {}


def identity(settings: CalculatorSettings, *, without: Collection[str] = ()) -> dict[str, Any]:
    """The settings that results depend on, as declared: all that do not say that none does.

    The other calculators' options are left out.

    Args:
        settings: of a run.
        without: what is told otherwise, "starts" or "knobs", and need not be by settings.
    """
    found = {}
    for name in type(settings).model_fields:
        extra = settings.extra(name)
        is_other = extra.get("of", settings.calculator) != settings.calculator
        is_told = extra.get("by") in without
        if extra.get("changes_results", True) and not is_other and not is_told:
            found[name] = getattr(settings, name)
    return found


class SetSettings(CalculatorSettings):
    """How a set of reactions is searched, whatever with and from wherever."""

    hyperparameters: dict[str, float | int | str] = Field(
        {},
        description="knobs of the solver that differ from their defaults",
        json_schema_extra=_KNOBS,
    )
    mode: str = Field(
        "lowest",
        description="which mode is climbed first: lowest, reaction (the one that most breaks and"
        " makes the bonds that change from reactant to product), atoms:I,J,... or bonds:I-J,..."
        " (the one that moves or stretches these most; atoms count from 0)",
    )
    criterion: str = Field(
        "index1", description="what ends a search: index1, strict or bound; all three are reported"
    )
    n_steps_per_sample: Count = Field(
        800, description="steps after which a search ends without success"
    )
    h5_path: str | None = Field(
        None,
        description="reactions in the Transition1x layout; none: the embedded set",
        json_schema_extra=_STARTS,
    )
    split: str = Field(
        "test",
        description="train, val, test, several with commas between, or all",
        json_schema_extra=_CHOICE,
    )
    noise_seed: Seed = Field(
        42,
        description="seed of the start noise; sample i draws with noise_seed + i",
        json_schema_extra=_STARTS,
    )
    max_samples: Count = Field(
        100, description="reactions taken at most", json_schema_extra=_CHOICE
    )
    sample: str = Field(
        "seeded",
        description="which they are where there are more: seeded (drawn from the whole split with"
        " sample_seed, in the order of the file) or first (the first of the split; files are"
        " ordered by formula, so these are small molecules)",
        json_schema_extra=_CHOICE,
    )
    sample_seed: Seed = Field(
        0, description="seed that the sample is drawn with", json_schema_extra=_CHOICE
    )
    workers: int = Field(
        1,
        ge=0,
        le=4096,
        description="processes that compute; 0 computes in this one, where a calculator that hangs"
        " can only be ended from outside, by kill -9",
        json_schema_extra=_WHERE,
    )
    batch_size: Count = Field(
        8, description="molecules that step together in one process", json_schema_extra=_WHERE
    )
    search_timeout_s: float | None = Field(
        None,
        gt=0,
        description="seconds without a step or an answer of the calculator, after which a process"
        " is ended and its molecule recorded as timed out (more than the calculator takes for a"
        " whole batch); none: never",
        json_schema_extra=_WHERE,
    )
    resume: bool = Field(
        False,
        description="continue what is there; without it existing results are never touched",
        json_schema_extra=_WHERE,
    )
    out_dir: str = Field("runs/search", description="folder for results", json_schema_extra=_WHERE)


class SearchSettings(SetSettings):
    """How one set of saddle searches is run."""

    solver: str = Field("gad", description="step rule")
    start_from: str = Field(
        "midpoint_rt_noise1.0A",
        description="reactant, ts, product, midpoint_rt, three_quarter_rt or midpoint_rp,"
        " each with an optional _noise<A>A",
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
        json_schema_extra=_CHOICE,
    )
    out_dir: str = Field("runs/screen", description="folder for results")


class TuneSettings(ScreenSettings):
    """Tuning: a study of hyperparameters on the difficult reactions."""

    n_steps_per_sample: Count = Field(800, description="steps of one search inside a trial")
    screening_steps: Count = Field(
        200,
        description="steps of the screening that finds the difficult reactions",
        json_schema_extra=_CHOICE,
    )
    screening: str | None = Field(
        None,
        description="screening.json to take the difficult reactions from; none: screen first",
        json_schema_extra=_CHOICE,
    )
    n_samples: Count = Field(
        15, description="reactions in a trial, the hardest ones", json_schema_extra=_CHOICE
    )
    n_trials: Count = Field(
        100,
        description="trials in the study when it is done, those already there included",
        json_schema_extra=_DRAWN,
    )
    sampler: str = Field(
        "tpe", description="tpe, gp, cmaes, random or qmc", json_schema_extra=_DRAWN
    )
    n_startup_trials: int = Field(
        10,
        ge=0,
        le=N_MAX,
        description="random trials before the sampler takes over",
        json_schema_extra=_DRAWN,
    )
    ranges: dict[str, list[float]] = Field(
        {},
        description="ranges to draw from, [low, high] by knob, that differ from the declared ones",
        json_schema_extra=_KNOBS,
    )
    pruning: str = Field(
        "bound",
        description="bound: a trial ends when it can't be the best any more;"
        " none: every trial runs all samples",
        json_schema_extra=_DRAWN,
    )
    seed: Seed = Field(
        42,
        description="seed of the sampler; a worker adds the number of its first trial",
        json_schema_extra=_DRAWN,
    )
    study_name: str = Field(
        "gad_hpo",
        min_length=1,
        max_length=500,
        description="name of the study in its storage",
        json_schema_extra=_WHERE,
    )
    storage: str | None = Field(
        None,
        description="storage URL; none: $GADLIB_STORAGE, else an SQLite file in out_dir"
        " (on network disks a journal)",
        repr=False,  # it may hold a password
        json_schema_extra=_WHERE,
    )
    grace_s: float = Field(
        180.0,
        ge=2,
        le=1e6,
        description="seconds without a sign of life after which a worker is taken for dead",
        json_schema_extra=_WHERE,
    )
    patience_s: float = Field(
        300.0,
        ge=0,
        le=1e6,
        description="seconds for which a storage that does not answer is asked again",
        json_schema_extra=_WHERE,
    )
    out_dir: str = Field("runs/tune", description="folder for results")


class StudySettings(Settings):
    """Which study to look at."""

    storage: str | None = Field(
        None, description=TuneSettings.model_fields["storage"].description, repr=False
    )
    study_name: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="name of the study; none: the only one in the storage",
    )
    calculator: str = Field("scine", description="potential, part of the default storage's name")
    out_dir: str = Field("runs/tune", description="folder of the results")


class ValidateSettings(SearchSettings):
    """Validation: defaults against tuned values on reactions that tuning never saw."""

    best: str | None = Field(
        None,
        description="hpo_results.json with the tuned values;"
        " none: `hyperparameters` are the tuned ones",
        json_schema_extra=_WHERE,
    )
    allow_transfer: bool = Field(
        False,
        description="validate values that were tuned for something else: another calculator,"
        " solver, start, criterion, mode or budget; told in the results",
        json_schema_extra=_WHERE,
    )
    screening: str | None = Field(
        None,
        description="screening.json of these reactions, which says which are easy; none: not told",
        json_schema_extra=_WHERE,
    )
    split: str = Field(
        "val,test", description="train, val, test, several with commas between, or all"
    )
    out_dir: str = Field("runs/validate", description="folder for results")


class BenchmarkSettings(SetSettings):
    """A comparison of solvers: the same starts, calculator, criteria and budget for each."""

    solvers: str = Field(
        "gad,trust,sella,sella-internal,sella-hessian",
        description="who is compared, with commas between; the last three need Sella",
        json_schema_extra=_CHOICE,
    )
    starts: str = Field(
        "ts_noise0.1A,midpoint_rt",
        description="recipes of starting points as in start_from, with commas between",
    )
    criterion: str = Field(
        "bound", description="what ends a search of gadlib's solvers: index1, strict or bound"
    )
    split: str = Field("all", description="train, val, test, several with commas between, or all")
    max_samples: Count = Field(20, description="reactions taken at most")
    batch_size: Count = Field(20, description="molecules that step together in one process")
    out_dir: str = Field("runs/benchmark", description="folder for results, a file for each solver")


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


class GrowthSettings(CalculatorSettings):
    """What is measured of searches on longer and longer chains."""

    carbons: str = Field(
        "2,3,4,5,6,8,10", description="carbons of the alkanes, with commas between"
    )
    n_starts: Count = Field(3, description="shaken starts of each chain")
    noise: float = Field(0.1, ge=0, le=5, description="standard deviation of the shaking in A")
    noise_seed: Seed = Field(42, description="start i is drawn with noise_seed + i")
    solver: str = Field("trust", description="step rule")
    n_steps_per_sample: Count = Field(800, description="steps after which a search ends")


class TimingSettings(CalculatorSettings):
    """What is measured of one step."""

    atoms: str = Field("8,16,23", description="atoms of the molecules, with commas between")
    batches: str = Field("1,8,32,128", description="molecules in a batch, with commas between")
    n_steps: Count = Field(3, description="steps that are timed, after one that is not")
