"""The step rules, by the solver that they belong to; each declares which criteria it can reach.

A step rule is a module with `REACHES`, `LEAVES_SADDLES`, `init` and `step`. To add one: the module,
its hyperparameters (`settings.hyperparameters`), a row here, its test.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol, runtime_checkable

from gadlib.evaluation import Calculator
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.solver import gad, gad_newton
from gadlib.solver.delta import rule as delta
from gadlib.solver.state import State
from gadlib.solver.trust import rule as trust
from gadlib.systems.batch import Batch


@runtime_checkable
class StepRule(Protocol):
    """A way to step: two functions in the same order of arguments, in a module of their own."""

    @property
    def REACHES(self) -> Container[str]:
        """The criteria that it can reach."""
        ...

    @property
    def LEAVES_SADDLES(self) -> bool:
        """Whether it steps away from a strict saddle, as from one that is not accepted."""
        ...

    def init(self, calculator: Calculator, batch: Batch, hyperparameters) -> State:
        """The state at the starting points."""
        ...

    def step(self, calculator: Calculator, state: State, hyperparameters) -> State:
        """The state after one step of every system."""
        ...


RULES: dict[str, tuple[StepRule, ...]] = {
    "gad": (gad, gad_newton),
    "trust": (trust,),
    "delta": (delta,),
}
"""The step rules of each solver; the first that reaches a criterion is taken."""


def rule_for(hyperparameters: Hyperparameters, criterion: str) -> StepRule:
    """The step rule that searches for points which meet the criterion."""
    return next(rule for rule in RULES[hyperparameters.solver] if criterion in rule.REACHES)
