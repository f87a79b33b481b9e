"""What searches are asked to do: single ones, a screening, those of the page."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from gadlib.settings import criteria
from gadlib.settings.calculators import MoleculeSettings
from gadlib.settings.costs import solver_for
from gadlib.settings.effects import (
    CHOICE,
    DRAWABLE,
    HYPERPARAMETERS,
    N_MAX,
    OF_SET,
    STARTS,
    WHERE,
    Count,
    Seed,
)
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.profiles import with_profile
from gadlib.settings.topics import SPLITS, shown_as

Cheap = Annotated[
    str,
    Field(
        description="cheap potential below the calculator, for solver delta: scine:METHOD,"
        " tblite:METHOD, the import path of an ASE calculator, springs (pairs of atoms as stiff as"
        " bonds) or none; auto: GFN2-xTB, else DFTB0, whichever is installed, knows the molecules"
        " and is not the calculator",
        json_schema_extra=shown_as("calculator", form="KIND:METHOD"),
    ),
]


class SetSettings(MoleculeSettings):
    """How a set of reactions is searched, whatever with and from wherever."""

    topic: ClassVar[str] = "search"

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
        json_schema_extra=DRAWABLE | shown_as(form="MODE"),
    )
    criterion: str = Field(
        "index1",
        description=f"what ends a search: one of {criteria.NAMES}",
        json_schema_extra=shown_as(words=tuple(criteria.CRITERIA)),
    )
    max_fragments: int | None = Field(
        None,
        ge=1,
        le=N_MAX,
        description="pieces that the molecule may be in at a bound saddle; none: as many as the"
        " reference has or, without one, the start",
    )
    check_ends: bool = Field(
        False,
        description="follow the bound saddles that searches end at downhill, so that intended is"
        " judged whatever the criterion; a path costs about a hundred gradients, counted apart",
    )
    n_steps_per_sample: Count = Field(
        800, description="steps after which a search ends without success"
    )
    cheap: Cheap = "auto"
    h5_path: str | None = Field(
        None,
        description="reactions in the Transition1x layout, or embedded-gfn2, the set made on"
        " GFN2-xTB; none: the embedded set, made on DFTB0",
        json_schema_extra=STARTS | OF_SET | shown_as("sample", form="FILE.h5"),
    )
    split: str = Field(
        "test",
        description="train, val, test, several with commas between, or all",
        json_schema_extra=CHOICE | OF_SET | shown_as("sample", form="SPLIT", words=SPLITS),
    )
    noise_seed: Seed = Field(
        42,
        description="seed of the start noise; sample i draws with noise_seed + i",
        json_schema_extra=STARTS | OF_SET | shown_as("starts"),
    )
    max_samples: Count = Field(
        100,
        description="reactions taken at most",
        json_schema_extra=CHOICE | OF_SET | shown_as("sample"),
    )
    only: str | None = Field(
        None,
        description="name of the one reaction or geometry to take, as in rxn0007; none: all",
        json_schema_extra=CHOICE | shown_as("sample", form="NAME"),
    )
    sample: str = Field(
        "seeded",
        description="which they are where there are more: seeded (drawn from the whole split with"
        " sample_seed, in the order of the file) or first (the first of the split; files are"
        " ordered by formula, so these are small molecules)",
        json_schema_extra=CHOICE | OF_SET | shown_as("sample", words=("seeded", "first")),
    )
    sample_seed: Seed = Field(
        0,
        description="seed that the sample is drawn with",
        json_schema_extra=CHOICE | OF_SET | shown_as("sample"),
    )
    workers: int = Field(
        1,
        ge=0,
        le=4096,
        description="processes that compute; 0 computes in this one, where a calculator that hangs"
        " can only be ended by kill -9",
        json_schema_extra=WHERE | shown_as("processes"),
    )
    batch_size: Count = Field(
        8,
        description="molecules that step together in one process",
        json_schema_extra=WHERE | shown_as("processes"),
    )
    search_timeout_s: float | None = Field(
        None,
        gt=0,
        description="time without a step or an answer of the calculator, after which a process"
        " is ended and its molecule recorded as timed out (more than the calculator takes for a"
        " whole batch); none: never",
        json_schema_extra=WHERE | shown_as("processes", unit="s"),
    )
    resume: bool = Field(
        False,
        description="continue what is there; without it existing results are never touched",
        json_schema_extra=WHERE | shown_as("output"),
    )
    out_dir: str = Field(
        "runs/search",
        description="folder for results",
        json_schema_extra=WHERE | shown_as("output", form="FOLDER"),
    )


class SearchSettings(SetSettings):
    """How one set of saddle searches is run."""

    solver: str = Field(
        "gad",
        description="step rule; auto: delta where a gradient of the calculator takes minutes, as of"
        " PySCF and of programs of quantum chemistry through ASE, else trust",
        json_schema_extra=shown_as(words=(*SOLVERS, "auto")),
    )
    start_from: str = Field(
        "midpoint_rt_noise1.0A",
        description="recipe of the starting points, as in ts or midpoint_rt_noise1.0A, or several"
        " joined by + (idpp_rp+midpoint_rp_noise0.1A), which are searched from in turn until a"
        " search meets the criterion, each with all the steps; `gadlib starts` lists them",
        json_schema_extra=OF_SET | DRAWABLE | shown_as("starts", form="RECIPE"),
    )

    profile: str | None = Field(
        None,
        description="tuned values to search with, under those that are given: the name of a shipped"
        " profile (`gadlib profiles` lists them), a file of one, or an hpo_results.json; what is"
        " kept of the run are the values",
        json_schema_extra=WHERE | shown_as(form="NAME"),
    )

    @model_validator(mode="before")
    @classmethod
    def _take_profile(cls, values: Any) -> Any:
        """With the values of the profile, which need no file afterwards."""
        if not isinstance(values, dict) or values.get("profile") is None:
            return values
        return with_profile(values, cls.model_fields["solver"].get_default())

    @model_validator(mode="before")
    @classmethod
    def _choose_solver(cls, values: Any) -> Any:
        """With the solver that auto stands for, so that records and identities name that one."""
        if not isinstance(values, dict) or values.get("solver") != "auto":
            return values
        calculator = values.get("calculator", cls.model_fields["calculator"].get_default())
        return values | {"solver": solver_for(calculator, values.get("ase_calculator"))}


class GuessSettings(SearchSettings):
    """How geometries of one's own are searched, where nothing else is asked for."""

    solver: str = Field("trust", description="step rule, or auto")
    criterion: str = Field(
        "bound",
        description=f"what ends a search: one of {criteria.NAMES}",
    )

    @classmethod
    def of_sets(cls) -> list[str]:
        """The settings that only a set of reactions has."""
        return [name for name in cls.model_fields if cls.extra(name).get("of_set")]


class FindSettings(GuessSettings):
    """How the saddle of a reaction is found from its reactant and product."""

    mode: str = Field(
        "reaction",
        description="which mode is climbed first: reaction (the one that most breaks and makes the"
        " bonds that change), lowest, atoms:I,J,... or bonds:I-J,...",
    )
    n_images: int = Field(
        7, ge=1, le=99, description="images between the ends that are computed, one gradient each"
    )
    interpolation: str = Field(
        "idpp",
        description="how images lie between the ends: idpp, or geodesic, which takes the package"
        " geodesic-interpolate",
        pattern="^(idpp|geodesic)$",
        json_schema_extra=shown_as(words=("idpp", "geodesic")),
    )
    relax_ends: str = Field(
        "never",
        description="whether reactant and product are relaxed to minima of the potential first:"
        " never, far (where forces of more than 0.05 eV/A are left) or always",
        pattern="^(never|far|always)$",
        json_schema_extra=shown_as(words=("never", "far", "always")),
    )
    budget: int | None = Field(
        None,
        ge=1,
        description="gradients of ends, images and searches for a reaction, with which they stop (a"
        " step is made to its end); those on the way downhill and Hessians are apart; none: 1000,"
        " with solver delta 300",
    )
    guess: str | None = Field(
        None,
        description="file with a guess of the saddle that is searched from before the images; none:"
        " images alone",
        json_schema_extra=shown_as("starts", form="FILE"),
    )
    start_from: str = Field(
        "idpp_rp",
        description="where searches begin: idpp_rp or geodesic_rp, as interpolation says; of a set"
        " also another recipe, as ts_noise0.1A, a guess that is searched from before the images",
    )
    split: str = Field("all", description="train, val, test, several with commas between, or all")
    out_dir: str = Field("runs/find", description="folder for results")

    @model_validator(mode="after")
    def _require_own_paths(self) -> FindSettings:
        is_asked = criteria.CRITERIA.get(self.criterion)
        if self.check_ends or (is_asked and is_asked.is_asked):
            raise ValueError(
                "criterion intended, check_ends: saddles are followed and judged here anyway;"
                f" expected one of {', '.join(criteria.AT_POINTS)}, and no check_ends"
            )
        return self


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
        json_schema_extra=CHOICE | shown_as("sample", form="FRACTION"),
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
