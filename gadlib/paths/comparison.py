"""A path beside the reaction that is known: ends, barriers, frequencies, distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from gadlib.batch import Batch
from gadlib.evaluation import Calculator, evaluate
from gadlib.hessians.normal_modes import spectrum
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import bond_graph_of
from gadlib.molecules.descriptions import change_in_words, mode_in_words
from gadlib.molecules.reactions import Reaction
from gadlib.paths import irc
from gadlib.paths.endpoints import classify_ends, match_ends, order_ends
from gadlib.units import frequency_cm1


def compare_path(path: irc.Path, reaction: Reaction) -> dict[str, Any]:
    """What a PathRecord says of a path, from the end that is more like the reactant."""
    numbers = reaction.atomic_numbers
    ends = [leg.positions[-1].cpu().numpy() for leg in path.legs]
    known = [reaction.reactant, reaction.product]
    graphs = [bond_graph_of(numbers, p) for p in ends]
    references = [bond_graph_of(numbers, p) for p in known]
    far = np.array([[rmsd(numbers, p, q, with_mirror=True) for q in known] for p in ends])
    is_like = match_ends(graphs, references, far)
    order = order_ends(is_like, far)
    legs = [path.legs[i] for i in order]
    graphs = [graphs[i] for i in order]
    verdict, message = classify_ends(is_like[order], graphs, references)
    travelled, energies = _join_legs(path, legs)
    saddle = path.positions.cpu().numpy()
    return {
        "verdict": verdict,
        "message": message,
        "change": change_in_words(*graphs),
        "mode": mode_in_words(bond_graph_of(numbers, saddle), saddle, path.mode.cpu().numpy()),
        "barrier": path.energy - float(legs[0].energy[-1]),
        "reaction_energy": float(legs[1].energy[-1] - legs[0].energy[-1]),
        "imaginary_cm1": -frequency_cm1(path.eigenvalue),
        "saddle_rmsd": rmsd(numbers, saddle, reaction.transition_state, with_mirror=True),
        "reactant_rmsd": float(far[order[0], 0]),
        "product_rmsd": float(far[order[1], 1]),
        "travelled": travelled,
        "energies": energies,
        "atomic_numbers": numbers.tolist(),
        "saddle": saddle.tolist(),
        "ends": [ends[i].tolist() for i in order],
        "n_gradient": sum(leg.n_gradient for leg in legs),
        "n_hessian": sum(leg.n_hessian for leg in legs),
    }


def _join_legs(path: irc.Path, legs: Sequence[irc.Leg]) -> tuple[list[float], list[float]]:
    """The arc from the reactant's side to the product's, and the energy above the saddle's."""
    back, on = legs
    travelled = torch.cat([-back.travelled.flip(0), on.travelled[1:]])
    energies = torch.cat([back.energy.flip(0), on.energy[1:]]) - path.energy
    return travelled.round(decimals=4).tolist(), energies.round(decimals=6).tolist()


def measure_reference(calculator: Calculator, reaction: Reaction) -> dict[str, Any]:
    """Barrier, reaction energy and imaginary frequency of the reference geometries as they are."""
    numbers = reaction.atomic_numbers
    points = [reaction.reactant, reaction.transition_state, reaction.product]
    charges, multiplicities = [reaction.charge] * 3, [reaction.multiplicity] * 3
    batch = Batch.pack(points, [numbers] * 3, charges=charges, multiplicities=multiplicities)
    batch = batch.to(getattr(calculator, "device", "cpu"))
    found, _ = evaluate(calculator, batch, hessian=True)
    change = change_in_words(bond_graph_of(numbers, points[0]), bond_graph_of(numbers, points[2]))
    if found.failures or found.hessian is None:
        return {"reference_change": change}
    reactant, saddle, end = found.energy.tolist()
    lowest = float(spectrum(found.hessian, batch).eigenvalues[1, 0])
    return {
        "reference_change": change,
        "reference_barrier": saddle - reactant,
        "reference_reaction_energy": end - reactant,
        "reference_cm1": -frequency_cm1(lowest),
    }
