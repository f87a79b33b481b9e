"""Slider values and hyperparameters, and the best of a study."""

import pytest

from gadlib.explore.sliders import slider_of, tooltip_of, values_between
from gadlib.explore.solver_sliders import SolverSliders
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError

DECLARED = [(solver, declared) for solver, kind in SOLVERS.items() for declared in kind.tunable()]
IDS = [f"{solver}-{declared.name}" for solver, declared in DECLARED]


@pytest.mark.parametrize("solver", SOLVERS)
def test_sliders_begin_at_the_defaults_and_make_valid_hyperparameters(solver):
    values = SolverSliders(solver).values
    assert SOLVERS[solver](**values) == SOLVERS[solver]()


@pytest.mark.parametrize(("solver", "declared"), DECLARED, ids=IDS)
def test_every_end_of_a_slider_is_a_value_in_range(solver, declared):
    sliders = SolverSliders(solver)
    slider = sliders.sliders[declared.name]
    for end, shown in ((declared.low, slider.min), (declared.high, slider.max)):
        slider.value = 10**shown if declared.log else shown
        assert sliders.values[declared.name] == pytest.approx(end)
        SOLVERS[solver](**sliders.values)


@pytest.mark.parametrize(("solver", "declared"), DECLARED, ids=IDS)
def test_logarithmic_where_declared_with_doc_and_unit(solver, declared):
    slider = SolverSliders(solver).sliders[declared.name]
    assert slider_of(declared).is_log == declared.log == (type(slider).__name__ == "FloatLogSlider")
    assert declared.doc in tooltip_of(declared)
    assert slider.tooltip == tooltip_of(declared)
    assert (declared.unit == "") == ("(" not in slider.description)


def test_reset_returns_to_the_defaults():
    sliders = SolverSliders("trust")
    before = sliders.values
    sliders.show({"radius_start": 0.4, "torn_steps": 3, "hessian_every": 100})
    assert sliders.values == before | {"radius_start": 0.4, "torn_steps": 3, "hessian_every": 100}
    sliders.reset()
    assert sliders.values == before


def test_values_by_hand_beyond_the_range_of_tuning_widen_the_slider():
    sliders = SolverSliders("gad")
    sliders.show({"dt_max": 0.5, "plateau_patience": 40})
    assert sliders.values["dt_max"] == pytest.approx(0.5)
    assert sliders.values["plateau_patience"] == 40
    assert sliders.sliders["plateau_patience"].max == 40


def test_what_is_chosen_by_a_word_is_a_list():
    sliders = SolverSliders("trust")
    assert sliders.choices["exact_hessians"].options == ("auto", "proof", "often")
    sliders.show({"exact_hessians": "often"})
    assert SOLVERS["trust"](**sliders.values) == SOLVERS["trust"](exact_hessians="often")
    sliders.reset()
    assert sliders.values["exact_hessians"] == "auto"


def test_values_between_follow_the_scale_and_stay_whole():
    declared = {each.name: each for each in SOLVERS["trust"].tunable()}
    assert values_between(declared["hessian_every"], 1, 1000, 4) == [1, 10, 100, 1000]
    assert values_between(declared["probe_every"], 1, 3, 10) == [1, 2, 3]
    assert values_between(declared["radius_grow"], 1.2, 2.0, 3) == pytest.approx([1.2, 1.6, 2.0])
    with pytest.raises(InputError, match=r"radius_grow from 2 to 9: expected .* 1\.1 \.\. 3"):
        values_between(declared["radius_grow"], 2.0, 9.0, 3)
