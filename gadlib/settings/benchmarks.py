"""What comparisons of solvers, and measurements of their cost, are asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from pydantic import Field, model_validator

from gadlib.settings import criteria
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.effects import CHOICE, Count, Seed
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.searches import SetSettings
from gadlib.settings.topics import shown_as


class Suite(NamedTuple):
    """What solvers are compared on.

    Attributes:
        doc: what it is, in a line.
        settings: what differs from the usual where nothing else is asked for, by name.
    """

    doc: str
    settings: Mapping[str, Any]


SUITES = {
    "embedded": Suite("starts near a saddle and half way to it, of reactions of a set", {}),
    "rdb7": Suite(
        "the same of a file in RDB7's or Transition1x's layout (h5_path)",
        {
            "solvers": "trust,sella,sella-hessian",
            "starts": "ts_noise0.1A,ts_noise0.3A,midpoint_rt,reactant",
            "max_samples": 40,
        },
    ),
    "calls": Suite(
        "guesses of saddles in a file (geometries), beside the calls published with them",
        {"solvers": "trust,sella,sella-internal,sella-hessian"},
    ),
    "ends": Suite(
        "from reactant and product alone; each saddle is followed downhill",
        {"solvers": "find,idpp+sella,neb+sella", "check_ends": True},
    ),
}
"""The suites by name, as tables and help list them."""


class BenchmarkSettings(SetSettings):
    """A comparison of solvers: the same starts, calculator, criteria and budget for each."""

    suite: str = Field(
        "embedded",
        description="what is compared: "
        + "; ".join(f"{name} ({suite.doc})" for name, suite in SUITES.items()),
        json_schema_extra=CHOICE | shown_as("sample", form="NAME", words=tuple(SUITES)),
    )
    geometries: str | None = Field(
        None,
        description="file of saddle guesses of the suite calls (xyz, extxyz); fields such as"
        " sella_calls in its comments are calls that others published",
        json_schema_extra=CHOICE | shown_as("sample", form="FILE"),
    )
    solvers: str = Field(
        "gad,trust,sella,sella-internal,sella-hessian",
        description="who is compared, with commas between; those with sella in their name need"
        " Sella; find, idpp+sella and neb+sella begin at a reaction's ends (suite ends)",
        json_schema_extra=CHOICE | shown_as(form="SOLVERS"),
    )
    starts: str = Field(
        "ts_noise0.1A,midpoint_rt",
        description="recipes of starting points as in start_from, with commas between",
        json_schema_extra=shown_as("starts", form="RECIPES"),
    )
    criterion: str = Field(
        "bound", description=f"what ends a search of gadlib's solvers: one of {criteria.NAMES}"
    )
    split: str = Field("all", description="train, val, test, several with commas between, or all")
    max_samples: Count = Field(20, description="reactions taken at most")
    batch_size: Count = Field(20, description="molecules that step together in one process")
    out_dir: str = Field("runs/benchmark", description="folder for results, a file for each solver")

    @model_validator(mode="before")
    @classmethod
    def _of_suite(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        suite = SUITES.get(values.get("suite", ""))
        return values if suite is None else {**suite.settings, **values}


class GrowthSettings(CalculatorSettings):
    """What is measured of searches on longer and longer chains."""

    topic: ClassVar[str] = "measured"

    carbons: str = Field(
        "2,3,4,5,6,8,10",
        description="carbons of the alkanes, with commas between",
        json_schema_extra=shown_as(form="NUMBERS"),
    )
    n_starts: Count = Field(3, description="shaken starts of each chain")
    noise: float = Field(
        0.1,
        ge=0,
        le=5,
        description="standard deviation of the shaking",
        json_schema_extra=shown_as(unit="A"),
    )
    noise_seed: Seed = Field(42, description="start i is drawn with noise_seed + i")
    solver: str = Field(
        "trust", description="step rule", json_schema_extra=shown_as(words=tuple(SOLVERS))
    )
    n_steps_per_sample: Count = Field(800, description="steps after which a search ends")


class TimingSettings(CalculatorSettings):
    """What is measured of one step."""

    topic: ClassVar[str] = "measured"

    atoms: str = Field(
        "8,16,23",
        description="atoms of the molecules, with commas between",
        json_schema_extra=shown_as(form="NUMBERS"),
    )
    batches: str = Field(
        "1,8,32,128",
        description="molecules in a batch, with commas between",
        json_schema_extra=shown_as(form="NUMBERS"),
    )
    n_steps: Count = Field(3, description="steps that are timed, after one that is not")
