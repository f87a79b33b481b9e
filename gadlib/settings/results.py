"""What the commands that look at results are asked to do: `irc`, `export`, `report` and `demo`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gadlib.settings.calculators import MoleculeSettings
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.effects import N_MAX, Count, Seed
from gadlib.settings.reading import Settings
from gadlib.settings.topics import SPLITS, shown_as


class ConditionSettings(MoleculeSettings):
    """Which potential, and at which temperature and pressure its molecules are ideal gases."""

    temperature: float = Field(
        298.15,
        gt=0,
        le=1e5,
        description="temperature of enthalpy, Gibbs energy and rate",
        json_schema_extra=shown_as("conditions", unit="K"),
    )
    pressure: float = Field(
        101325.0,
        gt=0,
        le=1e12,
        description="pressure of the Gibbs energy",
        json_schema_extra=shown_as("conditions", unit="Pa"),
    )


class FrequencySettings(ConditionSettings):
    """Of which points frequencies and thermochemistry are computed, and how."""

    topic: ClassVar[str] = "conditions"

    symmetry_number: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="rotational symmetry number of all molecules; none: counted from each geometry",
    )
    max_samples: Count = Field(
        100,
        description="molecules taken at most, the first ones",
        json_schema_extra=shown_as("sample"),
    )


class PathSettings(ConditionSettings):
    """Which saddles are followed downhill, and where the known reactions are."""

    topic: ClassVar[str] = "path"

    records: str | None = Field(
        None,
        description="result file of searches (JSON), or geometries of saddles (xyz, extxyz, what"
        " else ASE reads); none: the reference saddles of the set",
        json_schema_extra=shown_as("sample", form="FILE"),
    )
    h5_path: str | None = Field(
        None,
        description="reactions in the Transition1x layout, or embedded-gfn2; none: the embedded"
        " set",
        json_schema_extra=shown_as("sample", form="FILE.h5"),
    )
    split: str = Field(
        "all",
        description="train, val, test, several with commas between, or all",
        json_schema_extra=shown_as("sample", form="SPLIT", words=SPLITS),
    )
    max_samples: Count = Field(
        100, description="saddles taken at most", json_schema_extra=shown_as("sample")
    )
    reactant: str | None = Field(
        None,
        description="file with the reactant that the saddles are meant to have; none: as the set"
        " has it, if it has a reaction of that name",
        json_schema_extra=shown_as("sample", form="FILE.xyz"),
    )
    product: str | None = Field(
        None,
        description="file with the product, likewise",
        json_schema_extra=shown_as("sample", form="FILE.xyz"),
    )
    sample: str = Field(
        "seeded",
        description="which they are where there are more: seeded (drawn from all with sample_seed,"
        " in their order) or first",
        json_schema_extra=shown_as("sample", words=("seeded", "first")),
    )
    sample_seed: Seed = Field(
        0, description="seed that the sample is drawn with", json_schema_extra=shown_as("sample")
    )
    batch_size: Count = Field(
        8,
        description="saddles that are followed together",
        json_schema_extra=shown_as("processes"),
    )
    hessian_every: int | None = Field(
        None,
        ge=1,
        le=N_MAX,
        description="steps from one exact Hessian to the next on the way down; none: updated ones"
        " alone between the saddle and the minima, or exact ones at each step of a potential that"
        " predicts them",
    )
    n_steps: Count = Field(400, description="steps at most on each side of a saddle")
    cheap: str = Field(
        "none",
        description="cheap potential that is followed with what is learned of the calculator, as"
        " solver delta has it: scine:METHOD, tblite:METHOD, the import path of an ASE calculator or"
        " auto; the calculator is asked some thirty times, no Hessian of it is computed, and there"
        " is no thermochemistry; none: the calculator itself is followed. Where it is not given,"
        " saddles that solver delta has found are followed on the one that it used, unless a"
        " temperature, a pressure or another calculator is given",
        json_schema_extra=shown_as("calculator", form="KIND:METHOD"),
    )
    resume: bool = Field(
        False,
        description="keep what is there and go on; without it nothing there is touched",
        json_schema_extra=shown_as("output"),
    )
    out_dir: str = Field(
        "runs/irc",
        description="folder for results, paths.json",
        json_schema_extra=shown_as("output", form="FOLDER"),
    )


class ReportSettings(Settings):
    """What goes into a page of results that can be sent."""

    topic: ClassVar[str] = "page"

    storage: str | None = Field(
        None,
        description="storage URL of the study; several with commas between stand side by side;"
        " none: $GADLIB_STORAGE, else the SQLite file in runs/tune",
        repr=False,
        json_schema_extra=shown_as("storage", form="URL"),
    )
    study_name: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="name of the study in its storage; none: the only one there",
        json_schema_extra=shown_as("storage", form="NAME"),
    )
    validation: str | None = Field(
        "runs/validate",
        description="folder with default.json and tuned.json of `validate`; several with commas"
        " between are of the studies, in their order, and the first is shown in full",
        json_schema_extra=shown_as(form="FOLDER"),
    )
    screening: str | None = Field(
        None,
        description="screening.json that tells which reactions are difficult",
        json_schema_extra=shown_as(form="FILE.json"),
    )
    paths: str | None = Field(
        None, description="paths.json of `irc`", json_schema_extra=shown_as(form="FILE.json")
    )
    resume: bool = Field(
        False, description="replace the page that is there", json_schema_extra=shown_as("output")
    )
    out: str = Field(
        "runs/report.html",
        description="the page to write",
        json_schema_extra=shown_as("output", form="FILE.html"),
    )


class ExportSettings(Settings):
    """What of a result file is written for other programs, and as what."""

    to: str | None = Field(
        None,
        description="xyz, extxyz, molden or csv; none: as the name of --out ends",
        json_schema_extra=shown_as(words=("xyz", "extxyz", "molden", "csv")),
    )
    out: str | None = Field(
        None,
        description="file to write; none: the name of the result file with that ending; Molden has"
        " one molecule in a file, and of several each has its name in that of its file",
        json_schema_extra=shown_as(form="FILE"),
    )
    criterion: str | None = Field(
        None,
        description="searches whose last point meets it alone are written: index1, strict or"
        " bound; none: all that have a point",
        json_schema_extra=shown_as(words=tuple(CRITERIA)),
    )
    name: str | None = Field(
        None,
        description="results of this name alone; none: all",
        json_schema_extra=shown_as(form="NAME"),
    )


class DemoSettings(Settings):
    """The demonstration: where it goes, and on how many processes."""

    out_dir: str = Field(
        "runs/demo",
        description="folder for notebooks and results",
        json_schema_extra=shown_as("output", form="FOLDER"),
    )
    workers: int = Field(
        2,
        ge=0,
        le=4096,
        description="processes that compute",
        json_schema_extra=shown_as("processes"),
    )
