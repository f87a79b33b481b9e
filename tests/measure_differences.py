"""How large the error of whole Hessians by straight differences is, by the displacement.

    python tests/measure_differences.py pyscf CH3OH CH3NO2 --method r2SCAN/STO-3G
    python tests/measure_differences.py single CH3OH 2-butyne isobutane

`pyscf`: at the minima of molecules that ASE has, the softest wavenumbers, and the largest net
force constant of an atom, which is zero where there is no error (eV/A^2). `single`: a Morse
potential and, where mace-torch is installed, a small MACE of random weights, computed in single
precision; what rounding and what straight lines add along the six softest modes, of four
orientations, in eV/(A^2 amu), root mean squares. MACE's force constants are scaled to 50 eV/A^2 at
most, as molecules' are.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from ase.optimize import BFGS
from scipy.spatial.transform import Rotation

import gadlib
from gadlib.calculators.displaced import Displaced
from gadlib.calculators.pyscf import Pyscf
from gadlib.calculators.torchsim.potential import TorchSim
from gadlib.evaluation import evaluate
from gadlib.hessians.vibrations import vibrations_of
from gadlib.systems.batch import Batch

DISPLACEMENTS = (0.01, 0.005, 0.0026, 0.001)
STIFFEST = 50.0
MORSE = {"sigma": 1.1, "epsilon": 4.0, "alpha": 2.0, "cutoff": 30.0}


def of_grid(name: str, method: str) -> None:
    """The softest modes of a molecule by differences of PySCF's forces."""
    atoms = molecule(name)
    atoms.calc = gadlib.Potential(Pyscf(method))
    BFGS(atoms, logfile=None).run(fmax=0.003, steps=60)
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    for displacement in DISPLACEMENTS:
        found, _ = evaluate(Pyscf(method, displacement=displacement), batch, hessian=True)
        assert found.hessian is not None
        net = found.hessian[0].unflatten(0, (-1, 3)).sum(0).abs().max()
        (known,) = vibrations_of(batch, found.hessian, found.forces)
        softest = " ".join(f"{x:.2f}" for x in known.wavenumbers_cm1[:3])
        print(f"{name} {displacement:.4f} A: {softest} cm-1, net {net:.1e}", flush=True)


def morse(dtype: str) -> TorchSim:
    """Pairs of atoms, as TorchSim has them."""
    return TorchSim("torch_sim.models.morse:MorseModel", MORSE | {"dtype": dtype})


def mace(dtype: str) -> TorchSim:
    """A small network of random weights."""
    calculator = TorchSim("models_of_others:small_mace")
    if dtype == "float32":
        import models_of_others

        single = models_of_others.small_mace()
        single.model, single._dtype = single.model.float(), torch.float32
        calculator._model = single
    return calculator


def of_single(make: Callable[[str], TorchSim], name: str, scaled_to: float | None) -> None:
    """What single precision and straight lines add to the softest modes of a molecule."""
    exact, single = make("float64"), make("float32")
    atoms = molecule(name)
    atoms.positions += np.random.default_rng(0).normal(0, 0.03, atoms.positions.shape)
    atoms.positions -= atoms.positions.mean(0)
    for displacement in DISPLACEMENTS:
        parts = torch.stack([_errors(exact, single, each, displacement) for each in turned(atoms)])
        rounding, lines = parts.pow(2).mean((0, 2)).sqrt()
        if scaled_to is not None:
            stiffest = float(exact(_batch(atoms)).hessian.abs().max())
            rounding, lines = scaled_to / stiffest * rounding, scaled_to / stiffest * lines
        told = f"rounding {rounding:.1e}, straight lines {lines:.1e}"
        print(f"{make.__name__} {name} {displacement:.4f} A: {told}", flush=True)


def turned(atoms: Atoms) -> list[Atoms]:
    """The molecule in four orientations."""
    found = [atoms.copy() for _ in range(4)]
    for seed, each in enumerate(found):
        each.positions = each.positions @ Rotation.random(random_state=seed).as_matrix()
    return found


def _batch(atoms: Atoms) -> Batch:
    return Batch.pack([atoms.positions], [atoms.numbers])


def _errors(exact: TorchSim, single: TorchSim, atoms: Atoms, displacement: float) -> torch.Tensor:
    batch = _batch(atoms)
    weights = batch.inverse_sqrt_masses[0]
    true = exact(batch).hessian[0]
    values, modes = torch.linalg.eigh(weights[:, None] * true * weights)
    softest = weights[:, None] * modes[:, values.abs().argsort()[6:12]]
    moved = Displaced.of(batch, displacement)
    double, rounded = (
        moved.hessian(one(moved.batch, hessian=False).forces)[0] for one in (exact, single)
    )
    differences = (rounded - double, double - true)
    return torch.stack([(softest.mT @ one @ softest).diagonal() for one in differences])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["pyscf", "single"])
    parser.add_argument("names", nargs="+", help="of ASE's molecules")
    parser.add_argument("--method", default="r2SCAN/STO-3G")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent / "calculators"))
    for name in options.names:
        if options.what == "pyscf":
            of_grid(name, options.method)
            continue
        of_single(morse, name, None)
        if importlib.util.find_spec("mace") is not None:
            of_single(mace, name, STIFFEST)


if __name__ == "__main__":
    main()
