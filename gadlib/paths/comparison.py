"""A path beside the reaction that is known: ends, barriers, frequencies, distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from gadlib.evaluation import Calculator, Evaluation, evaluate
from gadlib.hessians.normal_modes import spectrum
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import bond_graph_of
from gadlib.molecules.descriptions import change_in_words, mode_in_words
from gadlib.molecules.endpoints import compare_ends
from gadlib.paths.barriers import barrier_between
from gadlib.paths.references import Known
from gadlib.paths.thermochemistry import Conditions, gas_of
from gadlib.screening.records import Record
from gadlib.settings.reading import InputError
from gadlib.solver.downhill import irc
from gadlib.systems.batch import Batch


def compare_path(
    path: irc.Path, record: Record, known: Known, conditions: Conditions
) -> dict[str, Any]:
    """What a PathRecord says of a path, from the end that is more like the reactant.

    Where no end is known, from the one of the lower energy.
    """
    numbers = np.array(record.atomic_numbers)
    ends = [leg.positions[-1].cpu().numpy() for leg in path.legs]
    found = compare_ends(numbers, ends, known)
    order = found.order if known.ends else _lower_first(path)
    legs = [path.legs[i] for i in order]
    graphs = [found.graphs[i] for i in order]
    saddle = path.positions.cpu().numpy()
    assert path.vibrations is not None
    return {
        "verdict": found.verdict,
        "message": f"{found.message} {path.told}".strip(),
        "change": change_in_words(*graphs),
        "mode": mode_in_words(bond_graph_of(numbers, saddle), saddle, path.mode.cpu().numpy()),
        "barrier": path.energy - float(legs[0].energy[-1]),
        "reaction_energy": float(legs[1].energy[-1] - legs[0].energy[-1]),
        "imaginary_cm1": -path.vibrations.wavenumbers_cm1[0],
        "saddle_rmsd": _far(numbers, saddle, known.transition_state),
        "reactant_rmsd": _far(numbers, ends[order[0]], known.reactant),
        "product_rmsd": _far(numbers, ends[order[1]], known.product),
        "energy": path.energy,
        "atomic_numbers": numbers.tolist(),
        "saddle": saddle.tolist(),
        "ends": [ends[i].tolist() for i in order],
        **_joined(path, legs),
        **_at_temperature(path, legs, record, conditions),
        **dict(zip(("n_gradient", "n_hessian"), path.calls, strict=True)),
    }


def _far(numbers: np.ndarray, place: np.ndarray, known: np.ndarray | None) -> float | None:
    """The RMSD in A from what may be known."""
    return None if known is None else rmsd(numbers, place, known, with_mirror=True)


def _lower_first(path: irc.Path) -> list[int]:
    return sorted((0, 1), key=lambda i: float(path.legs[i].energy[-1]))


def _joined(path: irc.Path, legs: Sequence[irc.Leg]) -> dict[str, Any]:
    """The points from the reactant's side over the saddle to the product's."""
    back, on = legs
    travelled = torch.cat([-back.travelled.flip(0), on.travelled[1:]])
    energies = torch.cat([back.energy.flip(0), on.energy[1:]]) - path.energy
    positions = torch.cat([back.positions.flip(0), on.positions[1:]])
    return {
        "travelled": travelled.round(decimals=4).tolist(),
        "energies": energies.round(decimals=6).tolist(),
        "positions": positions.round(decimals=6).tolist(),
    }


def _at_temperature(
    path: irc.Path, legs: Sequence[irc.Leg], record: Record, conditions: Conditions
) -> dict[str, Any]:
    """The thermochemistry of end, saddle and end, and the barriers from both ends.

    Nothing where one of them is no molecule that an ideal gas is made of.
    """
    points = [(leg.positions[-1], float(leg.energy[-1]), leg.vibrations) for leg in legs]
    points.insert(1, (path.positions, path.energy, path.vibrations))
    gases = []
    for positions, energy, vibrations in points:
        if vibrations is None:
            return {}
        numbers, places = np.array(record.atomic_numbers), positions.cpu().numpy()
        multiplicity = record.multiplicity
        try:
            gas = gas_of(numbers, places, energy, vibrations, conditions, multiplicity=multiplicity)
        except InputError:
            return {}
        gases.append(gas)
    barriers = [barrier_between(end, gases[1]) for end in (gases[0], gases[2])]
    return {"thermochemistry": gases, "barriers": barriers}


def measure_reference(calculator: Calculator, record: Record, known: Known) -> dict[str, Any]:
    """Barrier, reaction energy and imaginary frequency of the reference geometries as they are.

    As far as they are known; nothing where the potential can't compute them. Their electrons are
    those of the record. Of a costly potential, with a cheap one beside it, nothing is computed.
    """
    found: dict[str, Any] = {}
    if known.reactant is not None and known.product is not None and known.is_mapped:
        graphs = (bond_graph_of(np.array(record.atomic_numbers), p) for p in known.ends.values())
        found["reference_change"] = change_in_words(*graphs)
    if hasattr(calculator, "cheap"):
        return found
    minima = _evaluated(calculator, record, [*known.ends.values()], hessian=False)
    energies = dict(zip(known.ends, [] if minima is None else minima.energy.tolist(), strict=False))
    if len(energies) == 2:
        found["reference_reaction_energy"] = energies["product"] - energies["reactant"]
    if known.transition_state is None:
        return found
    saddle = _evaluated(calculator, record, [known.transition_state], hessian=True)
    if saddle is None or saddle.hessian is None:
        return found
    batch = Batch.pack([known.transition_state], [record.atomic_numbers])
    batch = batch.to(saddle.hessian.device)
    found["reference_cm1"] = -float(spectrum(saddle.hessian, batch).lowest_cm1[0])
    if "reactant" in energies:
        found["reference_barrier"] = float(saddle.energy[0]) - energies["reactant"]
    return found


def _evaluated(
    calculator: Calculator, record: Record, points: Sequence[np.ndarray], *, hessian: bool
) -> Evaluation | None:
    """What the potential says of all the points, None where there are none or it fails."""
    if not points:
        return None
    batch = Batch.of([replace(record, positions=point.tolist()) for point in points])
    batch = batch.to(getattr(calculator, "device", "cpu"))
    found, _ = evaluate(calculator, batch, hessian=hessian)
    return None if found.failures else found
