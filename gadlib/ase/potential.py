"""A calculator of gadlib's for ASE, and for all that builds on ASE.

The other way round, an ASE calculator for gadlib, is `gadlib.calculators.ase`.
"""

from __future__ import annotations

from typing import Any

from ase import Atoms
from ase.calculators.calculator import CalculationFailed, all_changes
from ase.calculators.calculator import Calculator as AseCalculator

from gadlib.evaluation import Calculator, evaluate
from gadlib.molecules.formats.by_ase import electrons_of
from gadlib.molecules.problems import lowest_multiplicity
from gadlib.systems.batch import Batch


def pack(atoms: Atoms, **more: Any) -> Batch:
    """The batch of one system that ASE's atoms are, with their charge and multiplicity.

    Where they don't say the latter, it is the lowest that their electrons allow.

    Args:
        atoms: the system.
        more: what else `Batch.pack` takes.

    Raises:
        ValueError: when one of these is no integer.
    """
    charge, multiplicity = electrons_of(atoms)
    if multiplicity is None:
        multiplicity = lowest_multiplicity(atoms.numbers, charge or 0)
    electrons = {"charges": [charge or 0], "multiplicities": [multiplicity]}
    return Batch.pack([atoms.positions], [atoms.numbers], **electrons, **more)


class Potential(AseCalculator):
    """An ASE calculator made of one of gadlib's, with the property `hessian` (eV/A^2) besides.

    Charge and multiplicity are those that the atoms' `info` has, else those that their initial
    charges and magnetic moments sum to.

    Attributes:
        potential: gadlib's calculator.
        n_gradient: energies with their gradients computed; those inside a Hessian not counted.
        n_hessian: Hessians computed.
        elapsed_s: wall time spent in the calculator.
    """

    implemented_properties = ("energy", "forces", "hessian")  # type: ignore[assignment]

    def __init__(self, potential: Calculator) -> None:
        super().__init__()
        self.potential = potential
        self.n_gradient = self.n_hessian = 0
        self.elapsed_s = 0.0

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Compute what is asked for, into `results`.

        Raises:
            CalculationFailed: with the reason that gadlib's calculator gives.
        """
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        is_hessian = "hessian" in properties
        batch = pack(self.atoms)
        found, seconds = evaluate(self.potential, batch, hessian=is_hessian)
        self.elapsed_s += seconds
        self.n_gradient += "forces" not in self.results
        self.n_hessian += is_hessian
        if found.failures:
            raise CalculationFailed(found.failures[0])
        self.results = {"energy": float(found.energy[0]), "forces": found.forces[0].cpu().numpy()}
        if found.hessian is not None:
            self.results["hessian"] = found.hessian[0].cpu().numpy()
