"""Calculators: callables from a batch of molecules to energies, forces and Hessians in house units.

`get` finds one by name, `check` is the contract that each keeps (and that a calculator of your own
must keep).

Never: what its answers are for; a calculator knows no search, no step and no file of results.
"""

from gadlib.calculators.contract import ContractError, check
from gadlib.calculators.paired import pair
from gadlib.calculators.registry import KINDS, NAMES, build, get, identity, lacking, packages, table

__all__ = [
    "KINDS",
    "NAMES",
    "ContractError",
    "build",
    "check",
    "get",
    "identity",
    "lacking",
    "packages",
    "pair",
    "table",
]
