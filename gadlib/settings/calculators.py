"""Which potential a run is on, its options, and the identity of a run: what results depend on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import Any, ClassVar

from pydantic import Field, field_validator
from pydantic.config import JsonDict

from gadlib.settings.effects import WHERE, Seed
from gadlib.settings.reading import Settings
from gadlib.settings.topics import shown_as

DISPLACEMENT = 0.0026
"""A, 0.005 bohr as in xTB and ORCA, of whole Hessians by differences. A group that turns on
straight lines stretches its bonds: with 0.01 A soft modes of GFN2-xTB are too low by 2e-4
eV/(A^2 amu) at 26 saddles of 25 to 45 atoms mostly, by 2.5e-3 where methyl groups turn (the free
one of 2-butyne is at 22i cm-1, 6i with this), so that some curve down that do not. What forces
leave open counts four times as much; it is less than that on the grids of density functionals and
in single precision too (`tests/measure_differences.py`)."""

_SCINE: JsonDict = {"of": "scine"}
_HIP: JsonDict = {"of": "hip"}
_ASE: JsonDict = {"of": "ase"}
_TORCHSIM: JsonDict = {"of": "torchsim"}
_PYSCF: JsonDict = {"of": "pyscf"}
_SURFACE: JsonDict = {"of": "surface"}
_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,5})?")


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict | list | tuple):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


class CalculatorSettings(Settings):
    """Which potential, and its options.

    An option belongs to one calculator (`{"of": name}`), or says only where and how fast it
    computes.
    """

    topic: ClassVar[str] = "calculator"

    calculator: str = Field(
        "scine",
        description="potential; `gadlib calculators` lists them",
        json_schema_extra=shown_as(words=("scine", "hip", "ase", "torchsim", "pyscf", "surface")),
    )
    scine_functional: str = Field(
        "DFTB0",
        description="method of the scine calculator",
        json_schema_extra=_SCINE | shown_as(form="METHOD"),
    )
    checkpoint_path: str | None = Field(
        None,
        description="checkpoint of the hip calculator (hip_v2.ckpt)",
        json_schema_extra=_HIP | shown_as(form="FILE.ckpt"),
    )
    hip_source: str | None = Field(
        None,
        description="folder of HIP's source; none: the environment variable HIP_SOURCE",
        json_schema_extra=_HIP | WHERE | shown_as(form="FOLDER"),
    )
    trust_checkpoint: bool = Field(
        False,
        description="load a checkpoint that may run code of its own; only from a source you trust",
        json_schema_extra=_HIP | WHERE,
    )
    hip_mean_atoms: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="atoms that HIP's energies are divided by; none: the checkpoint's, else the"
        " mean of its training set",
        json_schema_extra=_HIP | shown_as(form="ATOMS"),
    )
    hip_seed: Seed = Field(
        0, description="seed of HIP's random edge frames", json_schema_extra=_HIP
    )
    method: str = Field(
        "HF/3-21G",
        description="method of the pyscf calculator: HF or a functional, and a basis",
        json_schema_extra=_PYSCF | shown_as(form="METHOD/BASIS"),
    )
    surface_name: str = Field(
        "muller_brown",
        description="analytic surface of the surface calculator",
        json_schema_extra=_SURFACE | shown_as(form="NAME"),
    )
    device: str = Field(
        "auto",
        description="auto, cpu, cuda or cuda:N; where hip and torchsim compute",
        json_schema_extra=WHERE | shown_as("hip", form="DEVICE"),
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="threads of hip, torchsim and pyscf on the CPU; none: torch's, of pyscf one",
        json_schema_extra=WHERE | shown_as("hip"),
    )
    ase_calculator: str | None = Field(
        None,
        description="import path of an ASE calculator, MODULE:NAME, such as tblite.ase:TBLite",
        json_schema_extra=_ASE | shown_as(form="MODULE:NAME"),
    )
    ase_options: dict[str, Any] = Field(
        {},
        description="its options, as JSON; in them {charge}, {multiplicity} and {unpaired} stand"
        " for those of each molecule",
        json_schema_extra=_ASE | shown_as(form="JSON"),
    )
    ase_displacement: float = Field(
        DISPLACEMENT,
        gt=0,
        le=0.1,
        description="displacement of the differences that give a Hessian where it has none; 0.01"
        " where forces are noisy by more than 1e-4 eV/A",
        json_schema_extra=_ASE | shown_as(unit="A"),
    )

    ase_workers: int = Field(
        1,
        ge=1,
        le=1024,
        description="processes of its own that compute the molecules of a batch, and the displaced"
        " geometries of a Hessian, at once; beside those of --workers, which search",
        json_schema_extra=_ASE | WHERE,
    )
    torchsim_model: str | None = Field(
        None,
        description="import path of a model of TorchSim, MODULE:NAME, or of a function that makes"
        " one, such as torch_sim.models.lennard_jones:LennardJonesModel",
        json_schema_extra=_TORCHSIM | shown_as(form="MODULE:NAME"),
    )
    torchsim_options: dict[str, Any] = Field(
        {},
        description="its options, as JSON; dtype is float32 or float64",
        json_schema_extra=_TORCHSIM | shown_as(form="JSON"),
    )
    torchsim_ions: bool = Field(
        False,
        description="compute ions and unpaired electrons too, with a model that knows them",
        json_schema_extra=_TORCHSIM,
    )
    torchsim_displacement: float = Field(
        DISPLACEMENT,
        gt=0,
        le=0.1,
        description="displacement of the differences that give a Hessian where its energy can't be"
        " differentiated",
        json_schema_extra=_TORCHSIM | shown_as(unit="A"),
    )
    torchsim_trust: bool = Field(
        False,
        description="let the model load files that its options name, which may run code of their"
        " own; only from a source you trust",
        json_schema_extra=_TORCHSIM | WHERE,
    )

    @field_validator("ase_options", "torchsim_options", mode="before")
    @classmethod
    def _read_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON ({error})") from None

    @field_validator("ase_options", "torchsim_options")
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


class MoleculeSettings(CalculatorSettings):
    """Which potential, what is kept of it, and the electrons of molecules whose file says none."""

    charge: int | None = Field(
        None,
        ge=-1000,
        le=1000,
        description="charge of molecules whose file does not say theirs; none: 0",
        json_schema_extra=shown_as("starts", unit="e"),
    )
    multiplicity: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="multiplicity (2S + 1, one more than the unpaired electrons) of molecules whose"
        " file does not say theirs; none: the lowest that fits, 1 or 2",
        json_schema_extra=shown_as("starts"),
    )
    keep_calls: str | None = Field(
        None,
        description="file that keeps each answer of the calculator, so that a run that was"
        " interrupted pays for none a second time; one file serves many runs at a time",
        json_schema_extra=WHERE | shown_as("calculator", form="FILE.db"),
    )

    @property
    def electrons(self) -> dict[str, int | None]:
        """Charge and multiplicity by name, as those who read molecules take them."""
        return {"charge": self.charge, "multiplicity": self.multiplicity}


def identity(settings: CalculatorSettings, *, without: Collection[str] = ()) -> dict[str, Any]:
    """The settings that results depend on, as declared: all that do not say that none does.

    The other calculators' options are left out.

    Args:
        settings: of a run.
        without: what is given otherwise, "starts" or "hyperparameters".
    """
    found = {}
    for name in type(settings).model_fields:
        extra = settings.extra(name)
        is_other = extra.get("of", settings.calculator) != settings.calculator
        is_given = extra.get("by") in without
        if extra.get("changes_results", True) and not is_other and not is_given:
            found[name] = getattr(settings, name)
    return found
