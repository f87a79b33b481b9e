"""What comparisons of solvers, and measurements of their cost, are asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from pydantic import Field, model_validator

from gadlib.settings import criteria
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.effects import CHOICE, Count, Seed
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError, shown
from gadlib.settings.searches import Cheap, SetSettings
from gadlib.settings.topics import shown_as

GFN2 = {
    "calculator": "ase",
    "ase_calculator": "tblite.ase:TBLite",
    "ase_options": {
        "method": "GFN2-xTB",
        "accuracy": 0.1,
        "verbosity": 0,
        "charge": "{charge}",
        "multiplicity": "{multiplicity}",
    },
}
"""Gradients that are sharp enough for small residuals; ions and radicals as they are."""


FIND = "find"
"""gadlib's search from a reaction's ends; its steps are those of `trust`."""


class Suite(NamedTuple):
    """What solvers are compared on.

    Attributes:
        doc: what it is, in a line.
        settings: what differs from the usual where nothing else is asked for, by name.
        potential: the calculator's settings where none is asked for.
        file: the setting that names the file it reads; empty where it needs none.
        is_from_ends: whether a reaction's ends alone are known.
    """

    doc: str
    settings: Mapping[str, Any] = {}
    potential: Mapping[str, Any] = {}
    file: str = ""
    is_from_ends: bool = False


_ENDS = {"solvers": "find,idpp+sella,neb+sella", "check_ends": True, "max_samples": 20}

SUITES = {
    "embedded": Suite("starts near a saddle and half way to it, of reactions of a set"),
    "rdb7": Suite(
        "the same of a file in RDB7's or Transition1x's layout (h5_path)",
        {
            "solvers": "trust,sella,sella-internal",
            "starts": "ts_noise0.1A,ts_noise0.3A,midpoint_rt,reactant",
        },
        file="h5_path",
    ),
    "gfn2": Suite(
        "starts near saddles of the set made on GFN2-xTB, ions and larger molecules among them",
        {
            "solvers": "trust,sella,sella-internal",
            "starts": "ts_noise0.05A,ts_noise0.1A",
            "h5_path": "embedded-gfn2",
            "max_samples": 30,
        },
        GFN2,
    ),
    "calls": Suite(
        "guesses of saddles in a file (geometries), on GFN2-xTB, beside the calls published with"
        " them",
        {
            "solvers": "trust,sella,sella-internal,sella-hessian",
            "criterion": "strict",
            "max_samples": 30,
        },
        GFN2,
        file="geometries",
    ),
    "ends": Suite(
        "from reactant and product alone; each saddle is followed downhill",
        _ENDS,
        is_from_ends=True,
    ),
    "ends-gfn2": Suite(
        "the same with the set made on GFN2-xTB",
        _ENDS | {"h5_path": "embedded-gfn2"},
        GFN2,
        is_from_ends=True,
    ),
}
"""The suites by name, as tables and help list them."""

ALL_SUITES = "all"


class BenchmarkSettings(SetSettings):
    """A comparison of solvers: the same starts, calculator, criteria and budget for each."""

    suite: str = Field(
        "embedded",
        description="what is compared: "
        + "; ".join(f"{name} ({suite.doc})" for name, suite in SUITES.items())
        + f"; several with commas between, or {ALL_SUITES}, come into one table",
        json_schema_extra=CHOICE | shown_as("sample", form="NAMES", words=(*SUITES, ALL_SUITES)),
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
    max_samples: Count = Field(40, description="reactions taken at most")
    batch_size: Count = Field(20, description="molecules that step together in one process")
    out_dir: str = Field("runs/benchmark", description="folder for results, a file for each solver")

    @model_validator(mode="before")
    @classmethod
    def _of_suite(cls, values: Any) -> Any:
        suite = SUITES.get(values.get("suite", "")) if isinstance(values, Mapping) else None
        if suite is None:
            return values
        has_potential = not values.keys().isdisjoint(_of_potentials())
        return {**suite.settings, **({} if has_potential else suite.potential), **values}

    @property
    def suites(self) -> list[str]:
        """The names of the suites that are asked for.

        Raises:
            InputError: when there is no such suite.
        """
        asked = dict.fromkeys(part.strip() for part in self.suite.split(","))
        for name in asked:
            if name not in (*SUITES, ALL_SUITES):
                raise InputError(
                    f"suite {shown(name)}: expected some of {', '.join(SUITES)}, with commas"
                    f" between, or {ALL_SUITES}"
                )
        return list(SUITES) if ALL_SUITES in asked else list(asked)

    def of_suite(self, name: str) -> BenchmarkSettings:
        """The settings of one of several suites: what is given holds for all that it concerns.

        A file goes to the suites that read one, solvers that begin at ends to those from ends.
        """
        suite = SUITES[name]
        given = {field: getattr(self, field) for field in self.model_fields_set}
        for file in {other.file for other in SUITES.values()} - {suite.file, ""}:
            given.pop(file, None)
        solvers = [part.strip() for part in given.pop("solvers", "").split(",") if part.strip()]
        if own := [one for one in solvers if begins_at_ends(one) == suite.is_from_ends]:
            given["solvers"] = ",".join(own)
        given |= {"suite": name, "out_dir": f"{self.out_dir}/{name}"}
        return BenchmarkSettings.read(given)


def _of_potentials() -> list[str]:
    """The settings that say which potential it is."""
    fields = CalculatorSettings.model_fields
    return [name for name in fields if CalculatorSettings.extra(name).get("changes_results", True)]


def begins_at_ends(solver: str) -> bool:
    """Whether a solver of this name begins at a reaction's ends, not at a guess of the saddle."""
    return solver == FIND or "+" in solver


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
    cheap: Cheap = "auto"


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
