"""A Gaussian process of one system's energy, learned from energies and gradients.

Its inputs are all inverse distances, so that it knows no rotations; its kernel is the squared
exponential. It stands for what a cheap potential lacks; it calls none.

References: Rasmussen, Williams, Gaussian Processes for Machine Learning, MIT Press (2006), chapters
2, 5 and 9.4; Koistinen, Asgeirsson, Vehtari, Jonsson, J. Chem. Theory Comput. 16, 499 (2020),
doi:10.1021/acs.jctc.9b01038 (inverse distances); Denzel, Kaestner, J. Chem. Phys. 148, 094114
(2018), doi:10.1063/1.5017103 (gradients and Hessians of the process).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.solver.delta.observations import Observations

LENGTHS = (0.15, 0.18, 0.22, 0.27, 0.33, 0.40, 0.50, 0.65, 0.85, 1.1, 1.5)
"""In 1/A, among which the likelihood chooses; mostly it takes 0.22 to 0.45."""

LEAST_EARLY, EARLY = 0.22, 6
"""With fewer observations than six no shorter length: the likelihood of few is too sure."""

NOISE = (1e-8, 1e-6, 1e-4)
"""Variance of what is observed over that of the process; the first for which Cholesky's method
succeeds, which is nearly always the first."""


@dataclass(frozen=True)
class Process:
    """What was learned; `along` the energy, gradient and Hessian at any geometry.

    Attributes:
        length: of the kernel in 1/A.
        mean: of the energy in eV.
        seen: inverse distances of the observations.
        energy_weights, gradient_weights: of the kernel and of its derivatives along inverse
            distances, in eV and eV A.
    """

    length: float
    mean: float
    seen: Float[Tensor, "M P"]
    energy_weights: Float[Tensor, " M"]
    gradient_weights: Float[Tensor, "M P"]

    def energy_and_gradient(
        self, positions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "n 3"]]:
        """In eV and eV/A."""
        inputs = inverse_distances(positions)
        apart, kernel, level = self._terms(inputs)
        slope = self._slope(apart, kernel, level)
        energy = self.mean + (kernel * level).sum()
        return energy, (slope @ jacobian(positions)).unflatten(0, (-1, 3))

    def hessian(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "d d"]:
        """In eV/A^2."""
        inputs = inverse_distances(positions)
        apart, kernel, level = self._terms(inputs)
        slope = self._slope(apart, kernel, level)
        change = jacobian(positions)
        square = self.length**2
        along, weights = apart @ change, self.gradient_weights @ change
        crossed = along.T @ (kernel[:, None] * weights) / square**2
        curved = along.T @ ((kernel * level)[:, None] * along) / square**2 - crossed - crossed.T
        curved = curved - (kernel * level).sum() / square * change.T @ change
        return curved + _second(positions, slope)

    def _terms(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        apart = inputs - self.seen
        kernel = torch.exp(-apart.square().sum(-1) / (2 * self.length**2))
        level = self.energy_weights + (apart * self.gradient_weights).sum(-1) / self.length**2
        return apart, kernel, level

    def _slope(self, apart: Tensor, kernel: Tensor, level: Tensor) -> Float[Tensor, " P"]:
        """The gradient along inverse distances, in eV A."""
        return kernel @ (self.gradient_weights - level[:, None] * apart) / self.length**2


def learn(observations: Observations, before: Process | None = None) -> Process:
    """The process of the length that makes what was observed most likely.

    With that of before, once there are enough observations, only its length and the ones beside it
    are asked: the likelihood changes little by one observation more. Its mean and its variance are
    those of the greatest likelihood, in closed form: Rasmussen, Williams (2006), equations 5.8 and
    2.41.
    """
    lengths = LENGTHS
    if len(observations) >= EARLY and before is not None:
        place = LENGTHS.index(before.length)
        lengths = LENGTHS[max(0, place - 1) : place + 2]
    parts, size = _Products.of(observations.positions), len(observations)
    best = _likeliest(parts, observations, lengths)
    by_input = torch.einsum("md,mpd->mp", best.weights[size:].reshape(size, -1), parts.changes)
    return Process(best.length, best.mean, parts.inputs, best.weights[:size], by_input)


def likelihood(observations: Observations) -> float:
    """The logarithm of how likely what was observed is, with the length that makes it most so.

    It is right but for a constant that is the same for all observations at the same geometries.
    """
    return _likeliest(_Products.of(observations.positions), observations, LENGTHS).likelihood


@dataclass(frozen=True)
class _Fit:
    """A process of one length: the logarithm of its likelihood, its mean and its weights."""

    likelihood: float
    length: float
    mean: float
    weights: Float[Tensor, " L"]


def _likeliest(parts: _Products, seen: Observations, lengths: Sequence[float]) -> _Fit:
    """The fit of the greatest likelihood with one of these lengths."""
    if len(seen) < EARLY:
        lengths = tuple(length for length in lengths if length >= LEAST_EARLY)
    differences = seen.energies - seen.cheap_energies
    slopes = seen.gradients - seen.cheap_gradients
    level = float(differences[0])  # may be far from zero
    values = torch.cat([differences - level, slopes.flatten()])
    for noise in NOISE:
        fits = [_fit(parts, values, seen.n_values, length, noise) for length in lengths]
        best = max(fits, key=lambda one: one.likelihood)
        if best.likelihood > -math.inf:
            break
    return replace(best, mean=best.mean + level)


@dataclass(frozen=True)
class _Products:
    """What covariances of every length are made of, for M observations of d coordinates.

    Attributes:
        inputs: inverse distances of the observations.
        changes: how these change with coordinates.
        squares, along, crossed: products of differences between the inputs, and of their changes.
    """

    inputs: Float[Tensor, "M P"]
    changes: Float[Tensor, "M P d"]
    squares: Float[Tensor, "M M"]
    along: Float[Tensor, "M M d"]
    crossed: Float[Tensor, "M d M d"]

    @classmethod
    def of(cls, positions: Float[Tensor, "M n 3"]) -> _Products:
        inputs = torch.stack([inverse_distances(one) for one in positions])
        changes = torch.stack([jacobian(one) for one in positions])
        apart = inputs[:, None] - inputs[None]
        size, _, n = changes.shape
        flat = changes.mT.reshape(size * n, -1)
        return cls(
            inputs,
            changes,
            apart.square().sum(-1),
            torch.einsum("klp,lpd->kld", apart, changes),
            (flat @ flat.T).reshape(size, n, size, n),
        )

    def covariance(self, length: float) -> Float[Tensor, "L L"]:
        """That of all energies, then of all gradients, for a variance of 1.

        Rasmussen, Williams (2006), equation 9.1.
        """
        square = length**2
        kernel = torch.exp(-self.squares / (2 * square))
        size, _, n = self.along.shape
        first = kernel[:, :, None] * self.along / square
        crossed = torch.einsum("lkd,kle->kdle", self.along, self.along) / square**2
        second = kernel[:, None, :, None] * (self.crossed / square + crossed)
        whole = torch.empty(size * (1 + n), size * (1 + n), dtype=kernel.dtype)
        whole[:size, :size] = kernel
        whole[:size, size:] = first.reshape(size, -1)
        whole[size:, :size] = first.reshape(size, -1).T
        whole[size:, size:] = second.reshape(size * n, size * n)
        return whole


def _fit(
    parts: _Products, values: Float[Tensor, " L"], n: int, length: float, noise: float
) -> _Fit:
    """The fit, n of whose values tell something; of no likelihood where it can't be computed."""
    covariance = parts.covariance(length)
    covariance.diagonal().add_(noise)
    factor, info = torch.linalg.cholesky_ex(covariance)
    if int(info):
        return _Fit(-math.inf, length, 0.0, torch.zeros_like(values))
    size = len(parts.squares)
    constant = torch.zeros_like(values)
    constant[:size] = 1.0
    solved = torch.cholesky_solve(torch.stack([values, constant], -1), factor)
    mean = float(constant @ solved[:, 0] / (constant @ solved[:, 1]))
    weights = solved[:, 0] - mean * solved[:, 1]
    rest = float((values - mean * constant) @ weights)
    variance = max(rest / n, 1e-300)
    likelihood = -n / 2 * math.log(variance) - float(factor.diagonal().log().sum())
    return _Fit(likelihood, length, mean, weights)


def inverse_distances(positions: Float[Tensor, "n 3"]) -> Float[Tensor, " P"]:
    """Of all pairs, in 1/A."""
    first, second = _pairs(len(positions))
    return 1 / torch.linalg.vector_norm(positions[first] - positions[second], dim=-1)


def jacobian(positions: Float[Tensor, "n 3"]) -> Float[Tensor, "P d"]:
    """How inverse distances change with coordinates, in 1/A^2: -(r_i - r_j) / |r_i - r_j|^3."""
    n = len(positions)
    first, second = _pairs(n)
    apart = positions[first] - positions[second]
    slope = -apart / torch.linalg.vector_norm(apart, dim=-1, keepdim=True) ** 3
    rows = torch.arange(len(first))
    found = positions.new_zeros(len(first), n, 3)
    found[rows, first], found[rows, second] = slope, -slope
    return found.flatten(1)


def _second(positions: Float[Tensor, "n 3"], slope: Float[Tensor, " P"]) -> Float[Tensor, "d d"]:
    """Sum over pairs of a slope times the second derivative of the inverse distance.

    For each pair 3 u u^T / r^3 - 1 / r^3, with u the unit vector between the atoms.
    """
    n = len(positions)
    first, second = _pairs(n)
    apart = positions[first] - positions[second]
    distance = torch.linalg.vector_norm(apart, dim=-1)
    unit = apart / distance[:, None]
    block = 3 * unit[:, :, None] * unit[:, None, :] - torch.eye(3, dtype=unit.dtype)
    block = block * (slope / distance**3)[:, None, None]
    found = positions.new_zeros(n, n, 3, 3)
    found[first, second] = found[second, first] = -block
    found[range(n), range(n)] = -found.sum(1)
    return found.transpose(1, 2).reshape(3 * n, 3 * n)


def _pairs(n: int) -> tuple[Tensor, Tensor]:
    first, second = torch.triu_indices(n, n, offset=1)
    return first, second
