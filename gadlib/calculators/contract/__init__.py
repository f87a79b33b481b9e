"""The contract that every calculator keeps, as a test to run on one of your own.

It asks for what the rest of the package relies on: shapes, padding, batches, invariances,
derivatives, and that a system that fails harms nobody else. It says nothing about whether the
chemistry is right.
"""

from gadlib.calculators.contract.agreement import ContractError
from gadlib.calculators.contract.checking import check, molecules

__all__ = ["ContractError", "check", "molecules"]
