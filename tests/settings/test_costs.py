"""The solver that auto stands for."""

from __future__ import annotations

import pytest

from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.costs import COSTLY, solver_for
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.searches import FindSettings, GuessSettings, ScreenSettings, SearchSettings


@pytest.mark.parametrize(
    ("values", "solver"),
    [
        ({}, "trust"),
        ({"calculator": "scine", "scine_functional": "PM6"}, "trust"),
        ({"calculator": "hip"}, "trust"),
        ({"calculator": "pyscf"}, "delta"),
        ({"calculator": "ase", "ase_calculator": "tblite.ase:TBLite"}, "trust"),
        ({"calculator": "ase", "ase_calculator": "ase.calculators.emt:EMT"}, "trust"),
        ({"calculator": "ase", "ase_calculator": "mace.calculators:MACECalculator"}, "trust"),
        ({"calculator": "ase", "ase_calculator": "ase.calculators.orca:ORCA"}, "delta"),
        ({"calculator": "ase", "ase_calculator": "gpaw:GPAW"}, "delta"),
        ({"calculator": "scine", "ase_calculator": "ase.calculators.orca:ORCA"}, "trust"),
        ({"calculator": "ase"}, "trust"),
    ],
)
@pytest.mark.parametrize("kind", [SearchSettings, GuessSettings, ScreenSettings, FindSettings])
def test_auto_is_delta_for_what_costs_and_trust_for_the_rest(kind, values, solver):
    settings = kind.read(values | {"solver": "auto"})
    assert settings.solver == solver
    assert settings.model_copy().solver == solver


def test_what_is_named_stays():
    for solver in SOLVERS:
        assert SearchSettings.read({"calculator": "pyscf", "solver": solver}).solver == solver
    assert SearchSettings.read({"calculator": "pyscf"}).solver == "gad"


def test_costly_calculators_and_their_solvers_are_there():
    words = CalculatorSettings.extra("calculator")["words"]
    assert set(COSTLY) <= set(words)
    assert {solver_for(word, None) for word in words} == {"delta", "trust"} <= set(SOLVERS)
