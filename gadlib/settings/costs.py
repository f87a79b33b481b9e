"""Which calculators are so costly that calls are to be saved at any price: a table, no clock.

A choice by time would give another result on a busy machine.
"""

from __future__ import annotations

COSTLY = ("pyscf",)
"""Calculators whose gradient takes seconds to hours; a call of `delta` takes less of its own."""

COSTLY_PROGRAMS = (
    *(
        "abinit",
        "aims",
        "castep",
        "cp2k",
        "crystal",
        "demon",
        "dmol",
        "elk",
        "espresso",
        "exciting",
    ),
    *("fleur", "gamess_us", "gaussian", "gpaw", "nwchem", "octopus", "onetep", "openmx", "orca"),
    *("psi4", "pyscf", "qchem", "siesta", "turbomole", "vasp"),
)
"""Programs of quantum chemistry, by the names of the modules through which ASE calls them."""


def solver_for(calculator: str, ase_calculator: str | None) -> str:
    """The solver that `auto` stands for: `delta` for costly potentials, else `trust`.

    Args:
        calculator: its name.
        ase_calculator: the import path of ASE's, where it is that.
    """
    modules = (ase_calculator or "").partition(":")[0].lower().split(".")
    is_program = calculator == "ase" and any(part in COSTLY_PROGRAMS for part in modules)
    return "delta" if is_program or calculator in COSTLY else "trust"
