"""Every knob of every solver, declared once: default, range, scale, unit, meaning.

The solver, the Optuna space, the command line, the notebooks, the JSON files and the table in the
README are all derived from these declarations. What defines success (the criterion, the budget) is
not a knob and lives elsewhere. Floor 0.
"""

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Knob(NamedTuple):
    """The declaration of one hyperparameter, as everything outside this module reads it."""

    name: str
    type: type
    default: float
    low: float
    high: float
    least: float
    most: float
    log: bool
    unit: str
    doc: str
    aliases: Mapping[str, float | None] = {}

    @property
    def range_text(self) -> str:
        """The allowed range in words, with its unit."""
        return f"{self.low:g} .. {self.high:g}" + (f" {self.unit}" if self.unit else "")

    @property
    def limits_text(self) -> str:
        """The hard limits in words, with their unit."""
        return f"{self.least:g} .. {self.most:g}" + (f" {self.unit}" if self.unit else "")


def _knob(
    default: float,
    low: float,
    high: float,
    doc: str,
    *,
    unit: str = "",
    log: bool = False,
    limits: tuple[float, float],
    aliases: Mapping[str, float | None] | None = None,
) -> Any:
    """A declaration; tuning draws from low .. high, the hard limits are never left.

    Aliases are names in published scripts, with what they mean there as a flag without a value.
    """
    least, most = limits
    extra: dict[str, Any] = {"low": low, "high": high, "least": least, "most": most, "log": log}
    extra |= {"unit": unit, "aliases": aliases or {}}
    return Field(default, description=doc, json_schema_extra=extra)


class Choice(NamedTuple):
    """The declaration of a setting of a solver that is a word and never tuned."""

    name: str
    values: tuple[str, ...]
    default: str
    doc: str


class Hyperparameters(BaseModel):
    """A frozen set of knobs; unknown names and values out of their limits are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    solver: ClassVar[str]
    closest_pair: ClassVar[float] = 0.1
    """Starts with two atoms closer than this (A) are refused."""

    @classmethod
    def knobs(cls) -> tuple[Knob, ...]:
        """The declarations, in the order in which they are written."""
        return tuple(
            Knob(
                name=name,
                type=cast(type, field.annotation),
                default=field.default,
                doc=field.description or "",
                **cast(dict[str, Any], field.json_schema_extra),
            )
            for name, field in cls.model_fields.items()
            if field.json_schema_extra
        )

    @classmethod
    def choices(cls) -> tuple[Choice, ...]:
        """The declarations of what is chosen by a word, in the order in which they are written."""
        return tuple(
            Choice(name, get_args(field.annotation), field.default, field.description or "")
            for name, field in cls.model_fields.items()
            if get_origin(field.annotation) is Literal
        )

    @classmethod
    def by_name(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values by the names of their knobs, whatever alias they were given under.

        Raises:
            ValueError: when a knob is given under two names.
        """
        named = {alias: knob.name for knob in cls.knobs() for alias in knob.aliases}
        found: dict[str, Any] = {}
        for name, value in values.items():
            if (own := named.get(name, name)) in found:
                raise ValueError(f"{own}: given twice, also as {name}; expected one of them")
            found[own] = value
        return found

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, values: Any) -> Any:
        names = list(cls.model_fields)
        if isinstance(values, Mapping):
            values = cls.by_name(values)
        for name in values if isinstance(values, Mapping) else ():
            if name not in names:
                near = difflib.get_close_matches(str(name), names, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(
                    f"{name}: unknown hyperparameter of solver {cls.solver!r}{hint};"
                    f" known: {', '.join(names)}"
                )
        return values

    @model_validator(mode="after")
    def _in_range(self) -> "Hyperparameters":
        wrong = [
            f"{knob.name} = {_told(getattr(self, knob.name))}: expected {knob.limits_text}"
            for knob in self.knobs()
            if not knob.least <= getattr(self, knob.name) <= knob.most
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def _told(number: float) -> str:
    try:
        return f"{number:g}"
    except OverflowError:
        return f"an integer of {number.bit_length()} bits" if isinstance(number, int) else "?"


class GadHyperparameters(Hyperparameters):
    """Knobs of multi-mode Eckart mass-weighted GAD, with the published ranges and defaults."""

    solver: ClassVar[str] = "gad"

    dt_min: float = _knob(
        1e-6, 1e-7, 1e-5, "smallest time step", unit="A^2/eV", log=True, limits=(1e-9, 1e-3)
    )
    dt_max: float = _knob(
        0.05, 0.01, 0.1, "largest time step", unit="A^2/eV", log=True, limits=(1e-4, 1.0)
    )
    plateau_patience: int = _knob(
        5, 3, 20, "steps of unchanged order before the time step grows", limits=(1, 200)
    )
    plateau_boost: float = _knob(
        2.0, 1.2, 3.0, "factor by which the time step grows on a plateau", limits=(1.0, 10.0)
    )
    plateau_shrink: float = _knob(
        0.5,
        0.3,
        0.7,
        "factor by which the time step shrinks when the order rises",
        limits=(0.01, 1.0),
    )
    escape_disp_threshold: float = _knob(
        5e-4,
        1e-5,
        1e-3,
        "mean atom displacement below which the search counts as stuck",
        unit="A",
        log=True,
        limits=(1e-8, 0.1),
    )
    escape_window: int = _knob(
        20, 10, 50, "steps over which being stuck is judged", limits=(2, 500)
    )
    escape_neg_vib_std: float = _knob(
        0.5,
        0.1,
        1.0,
        "largest standard deviation of the order that counts as stuck",
        limits=(0.0, 10.0),
    )
    escape_delta: float = _knob(
        0.1,
        0.05,
        0.5,
        "displacement along the second mode at an escape",
        unit="A",
        limits=(1e-3, 2.0),
    )
    adaptive_delta_scale: float = _knob(
        1.0,
        0.0,
        2.0,
        "scale of the curvature-adapted escape; 0 switches adaptation off",
        limits=(0.0, 10.0),
        aliases={"adaptive_delta": 1.0},
    )
    trust_radius_max: float = _knob(
        0.25,
        0.1,
        0.5,
        "largest displacement of one atom in one step",
        unit="A",
        limits=(0.01, 2.0),
        aliases={"max_atom_disp": None},
    )


class TrustHyperparameters(Hyperparameters):
    """Knobs of the trust-region solver on the image surface."""

    solver: ClassVar[str] = "trust"
    closest_pair: ClassVar[float] = 0.001  # it pushes atoms apart before anything is computed

    exact_hessians: Literal["auto", "proof", "often"] = Field(
        default="auto",
        description="where Hessians are exact: proof (only the one that proves a saddle; others are"
        " modelled and probed) or often (every few steps); auto goes by what the calculator"
        " declares (`is_hessian_costly`), and takes one that declares nothing for costly",
    )

    radius_start: float = _knob(
        0.05,
        0.02,
        0.5,
        "trust radius at the start: largest displacement of one atom",
        unit="A",
        limits=(1e-3, 2.0),
    )
    radius_min: float = _knob(
        0.01, 0.001, 0.05, "smallest trust radius", unit="A", log=True, limits=(1e-5, 0.5)
    )
    radius_max: float = _knob(
        0.1, 0.05, 0.8, "largest trust radius of a climb", unit="A", limits=(1e-3, 2.0)
    )
    radius_grow: float = _knob(
        1.25,
        1.1,
        3.0,
        "factor by which the radius grows after a well predicted step",
        limits=(1.0, 10.0),
    )
    radius_shrink: float = _knob(
        0.5,
        0.2,
        0.8,
        "factor by which the radius shrinks after a poorly predicted step",
        limits=(0.01, 0.99),
    )
    hessian_every: int = _knob(
        2,
        1,
        1000,
        "steps from one exact Hessian to the next within a try",
        log=True,
        limits=(1, 1_000_000),
    )
    probe_every: int = _knob(
        2,
        1,
        20,
        "where exact Hessians are spared: steps from one probe of the climbed mode to the next",
        limits=(1, 10_000),
    )
    try_steps: int = _knob(
        100, 20, 400, "steps after which a try is given up", log=True, limits=(1, 1_000_000)
    )
    settle_steps: int = _knob(
        10,
        1,
        60,
        "steps in which a distorted start may come to rest before it is put together anew",
        log=True,
        limits=(1, 10_000),
    )
    kick: float = _knob(
        0.5,
        0.1,
        1.5,
        "how much noise on every coordinate makes another start of one",
        unit="A",
        limits=(1e-3, 5.0),
    )
    torn_steps: int = _knob(
        10,
        2,
        50,
        "steps in more pieces than allowed after which a climb is given up",
        limits=(1, 10_000),
    )


SOLVERS: dict[str, type[Hyperparameters]] = {
    kind.solver: kind for kind in (GadHyperparameters, TrustHyperparameters)
}
"""Hyperparameter classes by the name of their solver."""


def markdown_table(solver: str) -> str:
    """The knobs of a solver as the table that stands in the README."""
    rows = ["| knob | default | range | unit | scale | what it is |", "|---|---|---|---|---|---|"]
    for knob in SOLVERS[solver].knobs():
        scale = "log" if knob.log else "linear"
        span = f"{knob.low:g} .. {knob.high:g}"
        unit = knob.unit or "-"
        rows.append(
            f"| `{knob.name}` | {knob.default:g} | {span} | {unit} | {scale} | {knob.doc} |"
        )
    for choice in SOLVERS[solver].choices():
        values = ", ".join(choice.values)
        rows.append(f"| `{choice.name}` | {choice.default} | {values} | - | - | {choice.doc} |")
    return "\n".join(rows)
