"""Calculators by name: options, what results depend on, and the list that users see."""

import pytest

from gadlib import calculators
from gadlib.calculators.hip.checkpoint import find_checkpoint
from gadlib.calculators.hip.potential import Hip
from gadlib.calculators.kind import Kind
from gadlib.calculators.surfaces import SURFACES, Surface
from gadlib.cli.parser import main
from gadlib.settings.calculators import CalculatorSettings, identity
from gadlib.settings.reading import InputError
from gadlib.settings.studies import TuneSettings


def test_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=f"'orca': expected one of {', '.join(calculators.NAMES)}"):
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
        "ase_displacement": 0.0026,
    }
    assert (
        not {"threads", "device", "scine_functional", "checkpoint_path"} & identity(settings).keys()
    )
    assert {"ase_options", "calculator", "solver", "criterion"} <= identity(settings).keys()


def test_every_option_belongs_to_a_calculator_or_says_where():
    named = {n for name in calculators.NAMES for n in CalculatorSettings.options_of(name)}
    assert set(CalculatorSettings.model_fields) - named == {"calculator", "device", "threads"}


NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"calculator": "vasp"}, "calculator 'vasp': expected one of scine, "),
        ({"calculator": ["scine"]}, "calculator = .*valid string"),
        ({"scine_functional": "pm6"}, "scine functional 'pm6': expected one of DFTB0"),
        ({"scine_functional": ["PM6"]}, "scine_functional = .*valid string"),
        ({"scine_functional": NAN}, "scine_functional = nan: .*valid string"),
        ({"calculator": "surface", "surface_name": "x"}, "surface 'x': expected one of muller"),
        ({"calculator": "ase"}, "ase_calculator: not given; expected MODULE:NAME"),
        ({"calculator": "ase", "ase_calculator": "tblite"}, "'tblite': expected MODULE:NAME"),
        ({"calculator": "ase", "ase_calculator": "os:system"}, "'os:system': not an ASE calc"),
        ({"calculator": "ase", "ase_calculator": ".os:system"}, "'.os:system': can't be imported"),
        ({"ase_options": "[1]"}, r"ase_options = .*: .*valid dictionary"),
        ({"ase_options": "{method}"}, "ase_options = .*not JSON"),
        ({"ase_options": "7"}, "ase_options = .*: .*valid dictionary"),
        ({"ase_options": '{"a": NaN}'}, "ase_options = .*a is nan: expected .* finite"),
        ({"ase_options": '{"a": {"b": [1, -Infinity]}}'}, "ase_options = .*a is .*inf.*finite"),
        ({"ase_options": "[" * 99999}, "ase_options = .*not JSON"),
        ({"ase_options": {1: 2}}, "ase_options.*valid string"),
        ({"ase_displacement": 0.0}, "ase_displacement = 0.0: .*greater than 0"),
        ({"ase_displacement": NAN}, "ase_displacement = nan: .*finite"),
        ({"device": "gpu"}, "device = 'gpu': expected auto, cpu, cuda or cuda:N"),
        ({"device": "cuda:" + "9" * 5000}, "device = .*: expected auto, cpu, cuda or cuda:N"),
        ({"device": ["cpu"]}, "device = .*valid string"),
        ({"threads": 0}, "threads = 0: .*greater than or equal to 1"),
        ({"hip_mean_atoms": "inf"}, "hip_mean_atoms = 'inf': .*finite"),
        ({"calculator": "hip", "hip_source": "no\0such"}, "hip_source = 'no.*NUL"),
        ({"calculator": "hip", "hip_source": "a" * 5000}, "HIP's source 'aaa.*: no path"),
        ({"calculator": "hip", "hip_source": "~nobody-here/x"}, "HIP's source '~.*: no path"),
        ({"calculator": "hip", "hip_source": "/dev/null"}, "HIP's source /dev/null: no nets"),
    ],
)
def test_what_can_not_be_used_is_refused_in_one_sentence(values, sentence):
    pytest.importorskip("scine_sparrow")
    with pytest.raises(InputError, match=sentence) as refused:
        calculators.build(CalculatorSettings.read(values))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("path", ["no\0such", "a" * 5000, "~nobody-here/x", "/dev/null"])
def test_a_checkpoint_that_can_not_be_one_is_refused(path):
    with pytest.raises(InputError, match=r"checkpoint .*(no path|no such file)"):
        find_checkpoint(path)


@pytest.mark.parametrize(
    ("settings", "is_costly"),
    [
        ({"calculator": "scine"}, True),
        ({"calculator": "ase", "ase_calculator": "ase.calculators.emt:EMT"}, True),
        ({"calculator": "surface"}, False),
    ],
)
def test_calculators_say_whether_their_hessian_is_costly_and_their_names(settings, is_costly):
    pytest.importorskip("scine_sparrow")
    found = calculators.build(CalculatorSettings.read(settings))
    assert found.is_hessian_costly is is_costly
    assert isinstance(found.name, str) and found.name


def test_hip_says_that_its_hessian_is_not_costly_and_what_it_is_called():
    assert Hip.is_hessian_costly is False
    assert Hip.name == "HIP"


@pytest.mark.parametrize("kind", calculators.KINDS.values(), ids=calculators.NAMES)
def test_what_a_kind_declares_fits_its_settings(kind):
    own = CalculatorSettings.options_of(kind.name)
    assert kind.detail in own
    assert kind.doc and kind.needs
    settings = CalculatorSettings(calculator=kind.name, ase_calculator="x:Y", checkpoint_path="x")
    for variant in kind.variants(settings):
        assert set(variant) <= set(own)
        CalculatorSettings.read({"calculator": kind.name} | dict(variant))


def test_a_kind_is_all_that_a_new_calculator_takes(monkeypatch, capsys):
    def build(settings: CalculatorSettings) -> Surface:
        if settings.threads == 2:
            raise ImportError("needs another machine")
        return SURFACES["leps"]

    told = {"content": "of a file"}
    kind = Kind("other", "a line", "a thing", build, content=lambda _: told)
    monkeypatch.setitem(calculators.KINDS, "other", kind)
    settings = CalculatorSettings(calculator="other")
    assert calculators.build(settings) is SURFACES["leps"]
    assert calculators.identity(settings) == {"calculator": "other", "content": "of a file"}
    assert "✓ other    a line\n           needs: a thing\n" in calculators.table(settings) + "\n"
    assert kind.missing(CalculatorSettings(threads=2)) == ["needs another machine"]
    capsys.readouterr()
    assert main(["calculators"]) == 0
    assert "✓ other    a line" in capsys.readouterr().out


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
