"""Calculators of others are tried on the user's own molecules, and what that costs is told."""

import importlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gadlib.calculators.ase import Ase
from gadlib.calculators.surfaces import lennard_jones
from gadlib.molecules.starting_points import Start
from gadlib.screening import calculator_check, screen
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings

OTHERS = "calculators_of_others"


@pytest.fixture(autouse=True)
def others_on_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "calculators")
    monkeypatch.setattr(calculator_check, "_WORKING", set())


def start(formula: str, *numbers: int) -> Start:
    positions = 1.1 * np.eye(len(numbers), 3)
    return Start(formula.lower(), formula, "", "", None, np.array(numbers), positions, 1)


PAIR, TRIPLE, OXIDE = start("H2", 1, 1), start("H3", 1, 1, 1), start("HO", 8, 1)


def test_one_that_works_is_told_with_its_cost_and_not_tried_again(capsys):
    spring = Ase(f"{OTHERS}:Spring")
    calculator_check.require_working(spring, [PAIR, TRIPLE])
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"{OTHERS}:Spring: tried on h2 (H2); 1 of its calls, ")
    calculator_check.require_working(spring, [PAIR])
    assert capsys.readouterr().err == ""


def test_the_first_molecule_may_be_at_fault_itself(capsys):
    calculator_check.require_working(Ase(f"{OTHERS}:Spring"), [TRIPLE, TRIPLE, PAIR])
    assert "tried on h3 (H3), h2 (H2); 2 of its calls" in capsys.readouterr().err


def test_one_that_computes_none_is_refused_with_its_own_sentence():
    with pytest.raises(
        InputError, match=r"Spring with ase_options \{\}: can't compute h3 .*two atoms"
    ):
        calculator_check.require_working(Ase(f"{OTHERS}:Spring"), [TRIPLE])


def test_options_that_never_work_are_told_before_anything_starts(tmp_path: Path):
    pytest.importorskip("tblite")
    out = tmp_path / "search.json"
    settings = SearchSettings(
        calculator="ase", ase_calculator="tblite.ase:TBLite", ase_options={"method": "GFN9"}
    )
    with pytest.raises(InputError, match=r"'GFN9'.*can't compute h3 \(H3\)"):
        screen.screen(settings, starts=[TRIPLE], out=out)
    assert not out.exists()


def test_ions_and_radicals_are_tried_as_they_are():
    """Hydrogen, which calculators were once tried on, has no such spin state."""
    pytest.importorskip("tblite")
    radical = replace(OXIDE, multiplicity=2)
    calculator_check.require_working(Ase("tblite.ase:TBLite"), [radical])
    assert calculator_check._WORKING


@pytest.mark.parametrize("name", ["Leaving", "Dying"])
def test_what_ends_the_program_is_for_the_records_to_tell(name, capsys):
    calculator_check.require_working(Ase(f"{OTHERS}:{name}"), [OXIDE])
    assert not calculator_check._WORKING and capsys.readouterr().err == ""


def test_what_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(calculator_check, "_ANSWER_S", 1.0)
    calculator_check.require_working(Ase(f"{OTHERS}:Hanging"), [OXIDE])
    assert not calculator_check._WORKING


def test_molecules_that_can_not_be_computed_are_not_tried():
    impossible = Start("x", "H2", "", "", None, np.array([1, 1]), np.zeros((2, 3)), 1)
    calculator_check.require_working(Ase(f"{OTHERS}:Hanging"), [impossible])


def test_other_calculators_are_not_tried():
    calculator_check.require_working(lennard_jones(), [PAIR])
    assert not calculator_check._WORKING


def test_no_calculator_computes_in_the_process_that_asks():
    others = importlib.import_module(OTHERS)
    calculator_check.require_working(Ase(f"{OTHERS}:Counted"), [PAIR])
    assert others.Counted.processes == [] and os.getpid()
    assert calculator_check._WORKING
