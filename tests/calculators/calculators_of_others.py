"""Small ASE calculators, each with a trait that the adapter has to cope with."""

import numpy as np
from ase.calculators.calculator import Calculator, FileIOCalculator, all_changes


class Spring(Calculator):
    """Two atoms on a spring of 1 eV/A^2 about 1 A; `hessian` is its property."""

    implemented_properties = ["energy", "forces", "hessian"]  # noqa: RUF012 - ASE's own protocol
    default_parameters = {"stiffness": 1.0}  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if len(self.atoms) != 2:
            raise RuntimeError("two atoms\nwanted")
        k = self.parameters["stiffness"]
        vector = self.atoms.positions[1] - self.atoms.positions[0]
        length = np.linalg.norm(vector)
        unit = vector / length
        block = k * (np.outer(unit, unit) + (1 - 1 / length) * (np.eye(3) - np.outer(unit, unit)))
        self.results = {
            "energy": k * (length - 1) ** 2 / 2,
            "forces": k * (length - 1) * np.array([unit, -unit]),
            "hessian": np.kron([[1, -1], [-1, 1]], block),
        }


class Differences(Spring):
    """The same without a Hessian."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012


class Method(Differences):
    """The same with a Hessian as MACE has it: a method, in another shape."""

    def get_hessian(self, atoms):
        return Spring(**self.parameters).get_property("hessian", atoms).reshape(6, 2, 3)


class Smeared(Differences):
    """The same with a free energy, which is what the forces derive from."""

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["free_energy"] = self.results["energy"]
        self.results["energy"] = 99.0


class Writes(FileIOCalculator, Differences):
    """One that would write into its directory."""

    _legacy_default_command = "true"

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    calculate = Differences.calculate


def broken():
    raise RuntimeError("no licence")
