"""Calculators: callables from a batch of molecules to energies, forces and Hessians in house units.

`get` finds one by name, `check` is the contract that each keeps (and that a calculator of your own
must keep). Floor 3.
"""

from gadlib.calculators.contract import ContractError, check
from gadlib.calculators.registry import NAMES, get, require_elements

__all__ = ["NAMES", "ContractError", "check", "get", "require_elements"]
