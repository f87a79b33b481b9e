"""A cheap potential beside a costly one: which is taken, what is refused, what both know."""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass

import pytest
import torch
from clusters import POTENTIAL, clusters

from gadlib.calculators import get, pair
from gadlib.calculators.import_paths import built
from gadlib.calculators.paired import INSTEAD, USUAL, Paired
from gadlib.calculators.sparrow import Sparrow
from gadlib.evaluation import Calculator
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.screening.setup import calculator_of, paired
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings

pytest.importorskip("scine_sparrow")


@pytest.fixture(scope="module")
def molecules() -> list[Start]:
    return starts(read(split="test", max_samples=2), "ts")


def settings_of(**values) -> CalculatorSettings:
    return CalculatorSettings.read(values)


PM6 = settings_of(calculator="scine", scine_functional="PM6")
DFTB0 = settings_of(calculator="scine", scine_functional="DFTB0")


def cheap_beside(calculator: Calculator) -> Calculator:
    assert isinstance(calculator, Paired)
    return calculator.cheap


def test_auto_takes_the_first_that_can_be_used(molecules):
    pytest.importorskip("tblite")
    assert USUAL[0] == "tblite:GFN2-xTB"
    cheap = cheap_beside(pair(POTENTIAL, "auto", molecules, PM6))
    assert cheap.calculator == "tblite.ase:TBLite"  # type: ignore[attr-defined]
    assert cheap.refuses(0, 1) == ""  # type: ignore[attr-defined]


def test_auto_takes_the_next_where_the_first_is_missing(molecules, monkeypatch):
    built.cache_clear()
    for name in ("tblite", "tblite.ase"):
        monkeypatch.setitem(sys.modules, name, None)
    cheap = cheap_beside(pair(POTENTIAL, "auto", molecules, PM6))
    assert isinstance(cheap, Sparrow) and cheap.functional == "DFTB0"
    with pytest.raises(InputError, match=r"auto: none can be used here .*DFTB0 is the calculator"):
        pair(get("scine"), "auto", molecules, DFTB0)


def test_auto_is_never_the_calculator_itself(molecules):
    pytest.importorskip("tblite")
    options = {"method": "GFN2-xTB", "verbosity": 0}
    options |= {"charge": "{charge}", "multiplicity": "{multiplicity}"}
    itself = settings_of(calculator="ase", ase_calculator="tblite.ase:TBLite", ase_options=options)
    cheap = cheap_beside(pair(POTENTIAL, "auto", molecules, itself))
    assert isinstance(cheap, Sparrow) and cheap.functional == "DFTB0"


def test_a_named_one_is_taken(molecules):
    made = pair(POTENTIAL, "scine:PM6", molecules, DFTB0)
    assert cheap_beside(made).functional == "PM6"  # type: ignore[attr-defined]
    cheap = cheap_beside(pair(POTENTIAL, "ase.calculators.emt:EMT", molecules, DFTB0))
    assert cheap.calculator == "ase.calculators.emt:EMT"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("cheap", "sentence"),
    [
        ("DFTB0", "cheap 'DFTB0': expected auto, scine:METHOD, tblite:METHOD, none, springs or "),
        ("scine:", "cheap 'scine:': expected auto"),
        ("", "cheap '': expected auto"),
        ("scine:pm6", "scine functional 'pm6': expected one of DFTB0"),
        ("nowhere.at_all:Potential", "the cheap potential: .*nowhere"),
    ],
)
def test_what_can_not_be_used_is_refused_in_one_sentence(cheap, sentence, molecules):
    with pytest.raises(InputError, match=sentence) as refused:
        pair(POTENTIAL, cheap, molecules, PM6)
    assert "\n" not in str(refused.value)


def test_what_has_a_cheap_one_stays(molecules):
    made = Paired(get("scine", functional="PM6"), get("scine"))
    assert pair(made, "scine:AM1", molecules, PM6) is made
    assert pair(made, "no such form", molecules, PM6) is made


def test_it_answers_as_the_costly_one():
    batch = clusters(0)
    made = Paired(POTENTIAL, get("scine"))
    answer, expected = made(batch, hessian=False), POTENTIAL(batch, hessian=False)
    assert answer.hessian is None
    assert torch.equal(answer.energy, expected.energy)
    assert torch.equal(answer.forces, expected.forces)
    assert made(batch).hessian is not None


def test_it_declares_what_the_costly_one_declares():
    made = Paired(POTENTIAL, get("scine"))
    assert made.is_hessian_costly is POTENTIAL.is_hessian_costly is False
    assert made.name == "surface"
    assert not hasattr(made, "fresh")
    assert hasattr(Paired(get("ase", calculator="ase.calculators.emt:EMT"), POTENTIAL), "fresh")


def test_it_can_be_sent_to_another_process():
    made = Paired(get("scine", functional="PM6"), get("scine"))
    again = pickle.loads(pickle.dumps(made))
    assert again.costly.functional == "PM6" and again.cheap.functional == "DFTB0"
    batch = clusters(0, numbers=([8, 1, 1],))
    assert torch.equal(again(batch, hessian=False).energy, made(batch, hessian=False).energy)


@dataclass(frozen=True)
class Choosy:
    """A potential that knows all elements but one, and takes no electrons of that charge."""

    element: int
    charge: int

    def __call__(self, batch, *, hessian=True):
        return POTENTIAL(batch, hessian=hessian)

    def unsupported(self, elements) -> dict[int, str]:
        return {self.element: f"no {self.element}"} if self.element in elements else {}

    def refuses(self, charge: int, multiplicity: int) -> str:
        return f"no charge {charge}" if charge == self.charge else ""


def test_it_knows_what_both_know():
    made = Paired(Choosy(6, 1), Choosy(7, 2))
    assert made.unsupported({1, 6, 7, 8}) == {6: "no 6", 7: "no 7"}
    assert made.unsupported({1, 8}) == {}
    assert [made.refuses(charge, 1) for charge in (0, 1, 2)] == ["", "no charge 1", "no charge 2"]


def test_beside_one_that_can_not_be_asked_the_other_one_answers():
    for made in (Paired(Choosy(6, 1), POTENTIAL), Paired(POTENTIAL, Choosy(6, 1))):
        assert made.unsupported({6, 8}) == {6: "no 6"}
        assert made.refuses(1, 1) == "no charge 1"
    assert Paired(POTENTIAL, POTENTIAL).unsupported({6}) == {}
    assert Paired(POTENTIAL, POTENTIAL).refuses(3, 2) == ""


def test_settings_pair_for_the_solver_that_needs_it_alone(molecules):
    def asked(solver: str) -> SearchSettings:
        values = {"solver": solver, "scine_functional": "PM6", "cheap": "scine:DFTB0"}
        return SearchSettings.read(values)

    made = calculator_of(asked("delta"), molecules)
    assert isinstance(made, Paired)
    functionals = [one.functional for one in (made.costly, made.cheap) if isinstance(one, Sparrow)]
    assert functionals == ["PM6", "DFTB0"]
    assert isinstance(calculator_of(asked("trust"), molecules), Sparrow)
    own = Paired(POTENTIAL, POTENTIAL)
    assert paired(asked("delta"), molecules, own) is own


def names_beside(calculator: Calculator) -> tuple[str, ...]:
    assert isinstance(calculator, Paired)
    assert len(calculator.names) == 1 + len(calculator.others)
    return calculator.names


def test_others_stand_by_where_the_cheap_one_fails(molecules):
    pytest.importorskip("tblite")
    found = names_beside(pair(POTENTIAL, "auto", molecules, PM6))
    assert (
        found == INSTEAD == ("tblite:GFN2-xTB", "tblite:GFN1-xTB", "scine:DFTB0", "springs", "none")
    )
    named = pair(POTENTIAL, "scine:AM1", molecules, PM6)
    assert names_beside(named) == ("scine:AM1", *INSTEAD)
    assert names_beside(pair(POTENTIAL, "springs", molecules, PM6)) == ("springs",)


@pytest.mark.parametrize("options", [{}, {"method": "GFN2-xTB", "verbosity": 0}])
def test_the_calculator_itself_never_stands_by_however_it_was_given(options, molecules):
    pytest.importorskip("tblite")
    own = settings_of(calculator="ase", ase_calculator="tblite.ase:TBLite", ase_options=options)
    assert names_beside(pair(POTENTIAL, "auto", molecules, own)) == (
        "scine:DFTB0",
        "tblite:GFN1-xTB",
        "springs",
        "none",
    )


def test_those_that_are_not_installed_do_not_stand_by(molecules, monkeypatch):
    built.cache_clear()
    for name in ("tblite", "tblite.ase"):
        monkeypatch.setitem(sys.modules, name, None)
    found = names_beside(pair(POTENTIAL, "auto", molecules, PM6))
    assert found == ("scine:DFTB0", "springs", "none")


def test_what_one_of_the_cheap_ones_knows_is_known():
    made = Paired(Choosy(6, 1), Choosy(7, 2), (Choosy(8, 3),))
    assert made.unsupported({1, 6, 7, 8}) == {6: "no 6"}
    assert [made.refuses(charge, 1) for charge in (1, 2, 3)] == ["no charge 1", "", ""]
    made = Paired(POTENTIAL, Choosy(7, 2), (Choosy(7, 2),))
    assert made.unsupported({7, 8}) == {7: "no 7"} and made.refuses(2, 1) == "no charge 2"
