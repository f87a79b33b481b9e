"""Calculators by name: options, what results depend on, and the list that users see."""

import pytest

from gadlib import calculators
from gadlib.__main__ import main
from gadlib.input import InputError
from gadlib.settings import CalculatorSettings, TuneSettings, identity


def test_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="scine, hip, ase, surface"):
        calculators.get("orca")


def test_options_go_with_or_without_the_name_of_the_calculator():
    pytest.importorskip("scine_sparrow")
    short = calculators.get("scine", functional="PM6")
    long = calculators.get("scine", scine_functional="PM6")
    assert short.functional == long.functional == "PM6"  # type: ignore[attr-defined]


def test_unknown_option_is_refused():
    with pytest.raises(InputError, match="functionall"):
        calculators.get("scine", functionall="PM6")


def test_results_depend_on_the_options_of_the_chosen_calculator_alone():
    settings = TuneSettings(calculator="ase", ase_options={"method": "GFN1-xTB"}, threads=3)
    assert calculators.identity(settings) == {
        "calculator": "ase",
        "ase_calculator": None,
        "ase_options": {"method": "GFN1-xTB"},
        "ase_displacement": 0.01,
    }
    assert (
        not {"threads", "device", "scine_functional", "checkpoint_path"} & identity(settings).keys()
    )
    assert {"ase_options", "calculator", "solver", "criterion"} <= identity(settings).keys()


def test_every_option_belongs_to_a_calculator_or_says_where():
    named = {n for name in calculators.NAMES for n in CalculatorSettings.options_of(name)}
    assert set(CalculatorSettings.model_fields) - named == {"calculator", "device", "threads"}


def test_list_has_a_tick_or_a_reason_for_each(capsys: pytest.CaptureFixture, monkeypatch):
    monkeypatch.delenv("HIP_SOURCE", raising=False)
    assert main(["calculators", "--ase-calculator", "no.such:Thing"]) == 0
    told = capsys.readouterr().out
    rows = {line.split()[1]: line.split()[0] for line in told.splitlines() if line[0] in "✓✗"}
    assert rows.keys() == set(calculators.NAMES)
    assert rows["hip"] == rows["ase"] == "✗"
    assert "HIP_SOURCE" in told and "no.such:Thing" in told


def test_list_refuses_options_that_are_not_json(capsys: pytest.CaptureFixture):
    assert main(["calculators", "--ase-options", "{"]) == 2
    assert "not JSON" in capsys.readouterr().err
