"""Calculators: callables from a batch of molecules to energies, forces and Hessians in house units.

`get` finds one by name, `check` is the contract that each keeps (and that a calculator of your own
must keep). Floor 3.
"""

from gadlib.calculators.contract import ContractError, check
from gadlib.calculators.registry import NAMES, build, get, identity, lacking, table

__all__ = [
    "NAMES",
    "ContractError",
    "build",
    "check",
    "get",
    "identity",
    "lacking",
    "table",
]
