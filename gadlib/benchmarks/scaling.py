"""How the cost of a saddle grows with the molecule: searches on chains of more and more carbons.

Every start is an alkane stretched out, its middle bond turned half way from anti to gauche, its
atoms shaken; so the chemistry is the same at every size, and only the size differs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from tqdm.auto import tqdm

from gadlib.molecules.starting_points import Start
from gadlib.screening.costs import gradients_of, without_proof
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.setup import calculator_of, hyperparameters_of
from gadlib.settings.benchmarks import GrowthSettings
from gadlib.settings.reading import InputError, shown
from gadlib.settings.searches import SearchSettings

_CC, _CH, _ANGLE = 1.53, 1.09, math.radians(112.0)
_ANTI, _BETWEEN = math.pi, math.radians(120.0)


class GrowthRow(NamedTuple):
    """What the searches on one chain cost.

    Attributes:
        n_atoms: of the chain.
        n, strict: searches, and those of them that ended at a strict saddle.
        steps, gradients: medians of these; a Hessian besides the last counts as 6N gradients.
        wall_s, calculator_s: time of all searches for each strict saddle, and the calculator's
            part of it; None without any.
    """

    n_atoms: int
    n: int
    strict: int
    steps: float | None
    gradients: float | None
    wall_s: float | None
    calculator_s: float | None


def build_alkane(
    n_carbons: int, dihedral: float = _BETWEEN
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
    """Atomic numbers and positions (A) of a stretched chain, its middle bond turned to an angle.

    Raises:
        ValueError: when there are fewer than two carbons.
    """
    if n_carbons < 2:
        raise ValueError(f"n_carbons = {n_carbons}: expected at least 2")
    # Beyond either end stand two points that only say where the hydrogens go.
    places = [np.array([0.0, 0.0, 0.0]), np.array([_CC, 0.0, 0.0])]
    places.append(_next(np.array([0.0, 1.0, 0.0]), places[0], places[1], _ANTI))
    turned = n_carbons // 2
    for k in range(n_carbons - 1):
        a, b, c = places[-3:]
        places.append(_next(a, b, c, dihedral if k + 1 == turned else _ANTI))
    carbons = np.array(places[1 : n_carbons + 1])
    hydrogens: list[np.ndarray] = []
    for before, here, after in zip(places, carbons, places[2:], strict=False):
        a, b = _unit(before - here), _unit(after - here)
        out, side = _unit(-(a + b)), _unit(np.cross(a, b))
        half = math.radians(53.5)
        for sign in (1, -1):
            hydrogens.append(here + _CH * (math.cos(half) * out + sign * math.sin(half) * side))
    for end, outside in ((carbons[0], places[0]), (carbons[-1], places[n_carbons + 1])):
        hydrogens.append(end + _CH * _unit(outside - end))
    return (
        np.array([6] * n_carbons + [1] * len(hydrogens)),
        np.concatenate([carbons, hydrogens]),
    )


def shake_chain(n_carbons: int, n_starts: int, noise: float, noise_seed: int) -> list[Start]:
    """The chain shaken so many times, start i with seed `noise_seed` + i."""
    numbers, positions = build_alkane(n_carbons)
    n_hydrogens = len(numbers) - n_carbons
    found = []
    for i in range(n_starts):
        drawn = np.random.default_rng(noise_seed + i).normal(scale=noise, size=positions.shape)
        name, formula = f"alkane-{n_carbons}-{i}", f"C{n_carbons}H{n_hydrogens}"
        shaken = positions + drawn
        found.append(Start(name, formula, "", "chain", noise_seed + i, numbers, shaken, 1))
    return found


_MAX_CARBONS = 1000


def measure_growth(settings: GrowthSettings) -> Iterator[GrowthRow]:
    """The measurements as they come, in the order of the settings.

    Raises:
        InputError: when the settings can't be followed.
    """
    try:
        chains = [int(part) for part in settings.carbons.split(",")]
        if any(n > _MAX_CARBONS for n in chains):
            raise InputError(
                f"carbons = {shown(settings.carbons)}: expected numbers of at most {_MAX_CARBONS}"
            )
        all_starts = [
            shake_chain(n, settings.n_starts, settings.noise, settings.noise_seed) for n in chains
        ]
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"carbons = {settings.carbons!r}: expected numbers of at least 2 with commas between"
            f" ({error})"
        ) from None
    shared = {n: getattr(settings, n) for n in SearchSettings.model_fields if hasattr(settings, n)}
    plain = SearchSettings.read(shared | {"criterion": "strict", "batch_size": settings.n_starts})
    hyperparameters = hyperparameters_of(plain)
    calculator = calculator_of(plain, all_starts[0])
    for same in tqdm(all_starts, desc="chains", unit="chain"):
        job = Job.of(plain, same, calculator, hyperparameters)
        records = [without_proof(r) for r in search_starts(job)]
        good = [r for r in records if r.strict]
        yield GrowthRow(
            n_atoms=len(same[0].atomic_numbers),
            n=len(records),
            strict=len(good),
            steps=median(r.steps for r in good) if good else None,
            gradients=median(gradients_of(r) for r in good) if good else None,
            wall_s=sum(r.elapsed_s for r in records) / len(good) if good else None,
            calculator_s=sum(r.calculator_s for r in records) / len(good) if good else None,
        )


def exponent(n_atoms: Sequence[float], values: Sequence[float]) -> float:
    """The p of values ~ n_atoms^p that fits best in logarithms; NaN with fewer than two sizes."""
    if len(set(n_atoms)) < 2:
        return math.nan
    return float(np.polyfit(np.log(n_atoms), np.log(values), 1)[0])


def _next(a: np.ndarray, b: np.ndarray, c: np.ndarray, dihedral: float) -> np.ndarray:
    """The point that makes the chain's bond, angle and the given dihedral with three others."""
    along = _unit(c - b)
    normal = _unit(np.cross(b - a, along))
    local = [
        -math.cos(_ANGLE),
        math.sin(_ANGLE) * math.cos(dihedral),
        math.sin(_ANGLE) * math.sin(dihedral),
    ]
    frame = np.stack([along, np.cross(normal, along), normal], axis=1)
    return c + _CC * frame @ np.array(local)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
