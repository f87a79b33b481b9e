"""Any model of TorchSim: a batch of molecules is one call of it.

Forces and Hessians are derivatives of the model's energy where that can be had; else forces are the
model's own, and Hessians central differences, whose displaced geometries are one batch too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from gadlib.calculators.device import find_device, threads
from gadlib.calculators.displaced import Displaced
from gadlib.calculators.failures import impossible, refused
from gadlib.calculators.halving import InHalves
from gadlib.calculators.kind import Kind, refusal
from gadlib.calculators.torchsim.energies import curvature, gradient, order_of, said
from gadlib.calculators.torchsim.models import (
    EXAMPLE,
    built,
    by_content,
    missing_package,
    quiet,
    require_trusted,
)
from gadlib.calculators.torchsim.states import blocks, by_period, padded, places, state_of
from gadlib.evaluation import Evaluation
from gadlib.settings.calculators import DISPLACEMENT, CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch

_OWN_FORCES, _SLOPES, _CURVATURES = range(3)  # how often an energy is differentiated
_ROUNDING = {torch.float64: 1e-6}  # eV; in single precision sums depend on the company
_SINGLE = 1e-3


class TorchSim:
    """A calculator of a model of TorchSim; pickled, it is built anew in each process.

    Args:
        model: the import path of its class, or of a function that makes one, MODULE:NAME.
        options: what it is made with.
        device: auto, cpu, cuda or cuda:N.
        threads: on the CPU; by default torch's.
        displacement: of the central differences, in A, where its energy can't be differentiated
            twice.
        takes_ions: whether it computes ions and unpaired electrons too.
        trust: whether options may be files, which may run code when they are loaded.

    Raises:
        InputError: when it can't be imported or made, or the device is not there.
        ImportError: when TorchSim is missing; the message says what to install.
    """

    is_hessian_costly = True  # some N gradients, if at once

    def __init__(
        self,
        model: str,
        options: Mapping[str, Any] | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        displacement: float = DISPLACEMENT,
        takes_ions: bool = False,
        trust: bool = False,
    ) -> None:
        self.name = self.model = model
        self.options = dict(options or {})
        self.device = find_device(device)
        self.threads = threads
        self.displacement = displacement
        self.takes_ions = takes_ions
        self.trust = trust
        self._in_halves = InHalves(self.name, self.device)
        require_trusted(self.options, is_trusted=trust)
        self._model = built(model, json.dumps(self.options, sort_keys=True), str(self.device))

    def __reduce__(self) -> tuple:
        named = {"threads": self.threads, "displacement": self.displacement}
        named |= {"device": str(self.device), "takes_ions": self.takes_ions, "trust": self.trust}
        return _again, (self.model, self.options, named)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians of the batch."""
        return self._in_halves(
            batch,
            hessian,
            lambda some: self._computed(some, hessian),
            failures=self._foreign(batch) | impossible(batch),
        )

    @property
    def has_hessian(self) -> bool:
        """Whether Hessians are derivatives of its energy, not differences."""
        return self._order == _CURVATURES

    @property
    def rounding(self) -> float:
        """To how many eV its numbers are the same in other company."""
        return _ROUNDING.get(_dtype(self._model), _SINGLE)

    def unsupported(self, atomic_numbers: set[int]) -> dict[int, str]:
        """The elements that the model says it does not know; none where it says nothing."""
        known = _elements(self._model)
        unknown = sorted(atomic_numbers - set(known)) if known else []
        return dict.fromkeys(unknown, f"{self.name} was not made for it")

    def refuses(self, charge: int, multiplicity: int) -> str:
        """Why molecules of this charge and multiplicity can't be computed; empty where they can."""
        if self.takes_ions or (charge, multiplicity) == (0, 1):
            return ""
        return (
            f"{self.name} is taken to know neutral closed shells alone, and this has a charge of"
            f" {charge:+d} and a multiplicity of {multiplicity}; say torchsim_ions where it does"
        )

    @property
    def _order(self) -> int:
        return _order(self._model)

    def _foreign(self, batch: Batch) -> dict[int, str]:
        """A sentence for each system that the model is not made for."""
        reasons = refused(self, batch)
        if batch.boundary is not None:
            some, every = (batch.boundary.is_periodic.any(-1), batch.boundary.is_periodic.all(-1))
            for i in (some & ~every).nonzero().flatten().tolist():
                reasons[i] = f"{self.name}: TorchSim's cells repeat along all directions or none"
        return reasons

    def _computed(self, batch: Batch, hessian: bool) -> Evaluation:
        with quiet(), threads(self.threads), torch.enable_grad():
            groups = by_period(batch)
            parts = [self._alike(batch.take(rows), hessian) for rows in groups]
        if len(parts) == 1:
            return parts[0]
        back = torch.cat(groups).argsort()
        hessians = [part.hessian for part in parts if part.hessian is not None]
        failures = [
            (int(rows[place]), reason)
            for rows, part in zip(groups, parts, strict=True)
            for place, reason in part.failures.items()
        ]
        return Evaluation(
            torch.cat([part.energy for part in parts])[back],
            torch.cat([part.forces for part in parts])[back],
            torch.cat(hessians)[back] if hessian else None,
            dict(failures),
        )

    def _alike(self, batch: Batch, hessian: bool) -> Evaluation:
        """The evaluation of systems that all repeat along all directions, or along none."""
        is_own = self._order == _OWN_FORCES
        state = state_of(batch, self.device, _dtype(self._model))
        answer = said(self._model, state, own_forces=is_own)
        if is_own:
            assert answer.forces is not None
            slope = -answer.forces
        elif not answer.energy.requires_grad:
            raise ValueError("its energy can be differentiated elsewhere, not here")
        else:
            slope = gradient(answer.energy, state.positions)
        forces = padded(-slope.detach(), batch)
        second, failures = None, {}
        if hessian and self.has_hessian:
            place = places(batch).to(self.device)
            second = blocks(curvature(slope, state.positions, place), batch)
        elif hessian:
            second, failures = self._differences(batch)
        found = Evaluation(answer.energy.detach().to(forces), forces, second)
        return Evaluation(*_parts(found), failures | self._not_finite(found))

    def _differences(self, batch: Batch) -> tuple[Tensor, dict[int, str]]:
        displaced = Displaced.of(batch, self.displacement)
        told = self(displaced.batch, hessian=False)
        return displaced.hessian(told.forces), displaced.failures(told.failures)

    def _not_finite(self, found: Evaluation) -> dict[int, str]:
        flat = torch.cat([part.flatten(1) for part in _parts(found)[1:] if part is not None], 1)
        is_good = flat.isfinite().all(-1) & found.energy.isfinite()
        reason = f"{self.name}: it returned values that are not finite"
        return dict.fromkeys((~is_good).nonzero().flatten().tolist(), reason)


def _parts(found: Evaluation) -> tuple[Tensor, Tensor, Tensor | None]:
    return found.energy, found.forces, found.hessian


def _again(model: str, options: dict[str, Any], named: dict[str, Any]) -> TorchSim:
    return TorchSim(model, options, **named)


def _dtype(model: Any) -> torch.dtype:
    return model.dtype


def _elements(model: Any) -> tuple[int, ...]:
    """The elements that the model says it knows, as MACE's wrapper does; else none."""
    table = getattr(model, "z_table", None)
    return tuple(int(z) for z in getattr(table, "zs", ()))


@lru_cache(maxsize=2)
def _order(model: torch.nn.Module) -> int:
    """How often its energy can be differentiated, tried once."""

    def two(numbers: Tensor, positions: Tensor) -> Any:
        batch = Batch.pack([positions], [numbers])
        return state_of(batch, torch.device(model.device), _dtype(model))  # type: ignore[arg-type]

    with quiet(), torch.inference_mode(False), torch.enable_grad():
        return order_of(model, two, _elements(model))


def _build(settings: CalculatorSettings) -> TorchSim:
    if settings.torchsim_model is None:
        raise InputError(f"torchsim_model: not given; expected MODULE:NAME, e.g. {EXAMPLE}")
    return TorchSim(
        settings.torchsim_model,
        settings.torchsim_options,
        device=settings.device,
        threads=settings.threads,
        displacement=settings.torchsim_displacement,
        takes_ions=settings.torchsim_ions,
        trust=settings.torchsim_trust,
    )


def _lacks(settings: CalculatorSettings) -> list[str]:
    if settings.torchsim_model is not None:
        return refusal(_build, settings)
    missing = missing_package()
    return [missing] if missing else []


KIND = Kind(
    name="torchsim",
    doc="any model of TorchSim by its import path (MACE, FairChem, Orb, ...), a batch in one call;"
    " CPU or GPU",
    needs="pip install 'gadlib[torchsim]', the model's own package; --torchsim-model,"
    " --torchsim-options",
    build=_build,
    lacks=_lacks,
    detail="torchsim_model",
    packages=("torch-sim-atomistic", "mace-torch"),
    variants=lambda settings: [{}] if settings.torchsim_model else [],
    content=lambda settings: {"torchsim_options": by_content(settings.torchsim_options)},
)
