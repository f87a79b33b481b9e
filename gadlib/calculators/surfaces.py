"""Analytic potentials whose saddle points are known: for tests and for teaching, not for chemistry.

Every surface is itself a calculator. Particles on an external surface (`is_free=False`) do not
feel each other; clusters and molecules float in empty space. Lengths and energies of the sources
are read as angstrom and eV.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from gadlib.calculators import formulas
from gadlib.calculators.kind import Kind
from gadlib.evaluation import Evaluation
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch

Energy = Callable[[Tensor, Tensor], Tensor]
"""The energy in eV of one system, of its positions (N, 3) in angstrom and atomic numbers (N,)."""


@dataclass(frozen=True)
class StationaryPoint:
    """A known place of vanishing forces.

    Attributes:
        positions: in angstrom, one row for each atom.
        energy: in eV.
        order: the number of negative vibrational eigenvalues; 1 is a saddle point.
    """

    positions: tuple[tuple[float, float, float], ...]
    energy: float
    order: int


@dataclass(frozen=True)
class Surface:
    """A potential given by a formula, differentiated by torch: a calculator.

    Attributes:
        potential: the energy of one system, differentiable.
        start: a batch from which searches may start.
        points: what is known of its stationary points, to the digits given.
        source: where the formula and the points come from.
    """

    name: ClassVar[str] = "surface"
    is_hessian_costly: ClassVar[bool] = False
    potential: Energy
    start: Batch
    points: tuple[StationaryPoint, ...]
    source: str

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians of the batch."""
        inputs = batch.positions.detach(), batch.atomic_numbers
        is_atom = batch.mask.repeat_interleave(3, -1)
        second: Tensor | None = None
        if hessian:
            # not torch.func.hessian: forward mode warns of torch.jit's deprecation when it loads
            twice = torch.func.vmap(torch.func.jacrev(self._slope, has_aux=True))
            full, (slope, energy) = twice(*inputs)
            full = full.flatten(3).flatten(1, 2)
            is_good = _is_finite(energy, slope, full)
            full = torch.where(is_good[:, None, None], full, torch.nan)
            second = torch.where(is_atom[:, :, None] & is_atom[:, None, :], full, 0.0)
        else:
            _, (slope, energy) = torch.func.vmap(self._slope)(*inputs)
            is_good = _is_finite(energy, slope)
        forces = torch.where(is_good[:, None, None], -slope, torch.nan)
        failed = (~is_good).nonzero().flatten().tolist()
        return Evaluation(
            torch.where(is_good, energy, torch.nan),
            torch.where(batch.mask[..., None], forces, 0.0),
            second,
            dict.fromkeys(failed, "the surface is not defined at these positions"),
        )

    def _slope(self, positions: Tensor, numbers: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The gradient of one system; once more, to keep it undifferentiated, and the energy."""
        slope, energy = torch.func.grad_and_value(self.potential)(positions, numbers)
        return slope, (slope, energy)

    def stationary(self, order: int) -> Batch:
        """The known stationary points of that order."""
        points = [point for point in self.points if point.order == order]
        numbers = [self.start.atomic_numbers[0].tolist()] * len(points)
        return _batch([point.positions for point in points], numbers, self.start.is_free)


def muller_brown() -> Surface:
    """One particle in the xy plane, held there by a spring; three minima and two saddles."""
    return Surface(
        formulas.muller_brown,
        _particles((-0.7, 0.9, 0.1), (-0.2, 0.5, -0.05), (0.4, 0.2, 0.0)),
        (
            StationaryPoint(((-0.558, 1.442, 0.0),), -146.700, 0),
            StationaryPoint(((-0.050, 0.467, 0.0),), -80.768, 0),
            StationaryPoint(((0.623, 0.028, 0.0),), -108.167, 0),
            StationaryPoint(((-0.822, 0.624, 0.0),), -40.665, 1),
            StationaryPoint(((0.212, 0.293, 0.0),), -72.249, 1),
        ),
        "Müller, Brown, Theor. Chim. Acta 53, 75 (1979), doi:10.1007/BF00547608",
    )


def double_well(barrier: float = 1.0) -> Surface:
    """One particle in two crossed quartic wells: four minima, four saddles and a maximum between.

    E = h (x^2 - 1)^2 + h (y^2 - 1)^2 + 2 h z^2.
    """
    ends, middle = (-1.0, 1.0), 0.0
    return Surface(
        partial(formulas.double_well, barrier=barrier),
        _particles((0.2, 0.8, 0.0), (0.3, -0.2, 0.1), (-0.9, 0.4, 0.0)),
        (
            *(StationaryPoint(((x, y, 0.0),), 0.0, 0) for x in ends for y in ends),
            *(StationaryPoint(((x, middle, 0.0),), barrier, 1) for x in ends),
            *(StationaryPoint(((middle, y, 0.0),), barrier, 1) for y in ends),
            StationaryPoint(((middle, middle, 0.0),), 2 * barrier, 2),
        ),
        "by hand",
    )


def quadratic(eigenvalues: Sequence[float] = (-2.0, 0.5, 1.0, 2.0, 4.0, 8.0)) -> Surface:
    """A quadratic form in 3N coordinates with a Hessian of the given eigenvalues in eV/A^2.

    Its axes are those of the coordinates, mirrored so that each has a part in every coordinate;
    its one stationary point is the origin.

    Raises:
        ValueError: when the eigenvalues are not three for each atom.
    """
    if not eigenvalues or len(eigenvalues) % 3:
        raise ValueError(f"{len(eigenvalues)} eigenvalues: expected three for each atom")
    n_atoms = len(eigenvalues) // 3
    start = torch.linspace(-0.5, 0.7, len(eigenvalues), dtype=torch.float64).reshape(-1, 3)
    origin = ((0.0, 0.0, 0.0),) * n_atoms
    return Surface(
        partial(formulas.quadratic, eigenvalues=tuple(eigenvalues)),
        _batch([start, -2 * start], [[1] * n_atoms] * 2, False),
        (StationaryPoint(origin, 0.0, sum(value < 0 for value in eigenvalues)),),
        "by hand",
    )


def lennard_jones(epsilon: float = 1.0, sigma: float = 1.0) -> Surface:
    """A cluster of any atoms, all alike to the potential; started from and known for four.

    E = sum over pairs of 4 epsilon ((sigma/r)^12 - (sigma/r)^6), epsilon in eV, sigma in A.
    """
    edge = 2 ** (1 / 6) * sigma
    corner = edge / 8**0.5
    tetrahedron = tuple(
        (x * corner, y * corner, x * y * corner) for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    )
    short, long = 0.5 * _LJ4_RHOMBUS[0] * sigma, 0.5 * _LJ4_RHOMBUS[1] * sigma
    rhombus = ((short, 0.0, 0.0), (-short, 0.0, 0.0), (0.0, long, 0.0), (0.0, -long, 0.0))
    narrow, wide = torch.tensor(rhombus), torch.tensor(tetrahedron)
    starts = [narrow + 0.1 * wide, 0.7 * narrow + 0.5 * wide]
    return Surface(
        partial(formulas.lennard_jones, epsilon=epsilon, sigma=sigma),
        _batch(starts, [[18] * 4] * 2, True),
        (
            StationaryPoint(tetrahedron, -6.0 * epsilon, 0),
            StationaryPoint(rhombus, _LJ4_RHOMBUS[2] * epsilon, 1),
        ),
        "minimum: by hand, every pair at its depth; saddle: by Newton's method, two unknowns",
    )


def leps() -> Surface:
    """Three hydrogen-like atoms that exchange a bond, by London, Eyring, Polanyi and Sato.

    (1 + s) E = sum Q_i - sqrt(((J_1 - J_2)^2 + (J_2 - J_3)^2 + (J_3 - J_1)^2) / 2) over the pairs,
    with Q = d/4 ((3 + s) e^2 - (2 + 6 s) e), J = d/4 ((1 + 3 s) e^2 - (6 + 2 s) e) and
    e = exp(-a (r - r0)). A molecule with the third atom far away has E = -d; the saddle is linear.
    """
    r = _LEPS_SADDLE[0]
    saddle = ((-r, 0.0, 0.0), (0.0, 0.0, 0.0), (r, 0.0, 0.0))
    bent = [[-0.85, 0.1, 0.0], [0.0, -0.1, 0.05], [1.1, 0.2, 0.0]]
    apart = [[-0.74, 0.0, 0.0], [0.0, 0.05, 0.0], [1.4, 0.1, 0.1]]
    return Surface(
        formulas.leps,
        _batch([bent, apart], [[1, 1, 1]] * 2, True),
        (StationaryPoint(saddle, _LEPS_SADDLE[1], 1),),
        "Sato, J. Chem. Phys. 23, 592 (1955); saddle: by Newton's method, one unknown",
    )


def _is_finite(*parts: Tensor) -> Bool[Tensor, " B"]:
    return torch.stack([part.reshape(len(part), -1).isfinite().all(-1) for part in parts]).all(0)


def _batch(positions: Sequence, numbers: list[list[int]], is_free: bool) -> Batch:
    coordinates = [torch.as_tensor(p, dtype=torch.float64) for p in positions]
    return Batch.pack(coordinates, numbers, is_free=is_free)


def _particles(*positions: tuple[float, float, float]) -> Batch:
    return _batch(positions, [[1]] * len(positions), False)


_LJ4_RHOMBUS = (1.1248000630696513, 1.9376517661311716, -5.073420858462791)  # diagonals, energy
_LEPS_SADDLE = (0.925970477949586, -4.390351086625385)  # both bonds, energy

SURFACES: dict[str, Surface] = {
    "muller_brown": muller_brown(),
    "double_well": double_well(),
    "quadratic": quadratic(),
    "lennard_jones": lennard_jones(),
    "leps": leps(),
}
"""The surfaces with their defaults, by name."""


def _build(settings: CalculatorSettings) -> Surface:
    if settings.surface_name not in SURFACES:
        raise InputError(
            f"surface {settings.surface_name!r}: expected one of {', '.join(SURFACES)}"
        )
    return SURFACES[settings.surface_name]


KIND = Kind(
    name="surface",
    doc=f"analytic surfaces with known saddles: {', '.join(SURFACES)} (--surface-name)",
    needs="nothing",
    build=_build,
    is_quick=True,
    detail="surface_name",
)
