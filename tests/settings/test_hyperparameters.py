import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gadlib.settings.hyperparameters import SOLVERS, GadHyperparameters

DECLARED = [(kind, one) for kind in SOLVERS.values() for one in kind.tunable()]
IDS = [f"{kind.solver}-{one.name}" for kind, one in DECLARED]

# What the research code tunes over, and what it screens with (its hip_multi_mode_eckartmw_hpo.py):
# range, log scale, default.
PUBLISHED = {
    "dt_min": (1e-7, 1e-5, True, 1e-6),
    "dt_max": (0.01, 0.1, True, 0.05),
    "plateau_patience": (3, 20, False, 5),
    "plateau_boost": (1.2, 3.0, False, 2.0),
    "plateau_shrink": (0.3, 0.7, False, 0.5),
    "escape_disp_threshold": (1e-5, 1e-3, True, 5e-4),
    "escape_window": (10, 50, False, 20),
    "escape_neg_vib_std": (0.1, 1.0, False, 0.5),
    "escape_delta": (0.05, 0.5, False, 0.1),
    "adaptive_delta_scale": (0.0, 2.0, False, 1.0),
    "trust_radius_max": (0.1, 0.5, False, 0.25),
}


def test_gad_has_the_published_hyperparameters():
    found = {k.name: (k.low, k.high, k.log, k.default) for k in GadHyperparameters.tunable()}
    assert found == PUBLISHED


@pytest.mark.parametrize(("kind", "one"), DECLARED, ids=IDS)
def test_ends_of_the_limits_are_allowed_and_beyond_is_refused_with_the_limits(kind, one):
    for value in (one.least, one.low, one.high, one.most):
        assert getattr(kind(**{one.name: value}), one.name) == value
    margin = 1 if one.type is int else 0.01 * (one.most - one.least)
    for value in (one.least - margin, one.most + margin):
        with pytest.raises(ValidationError) as error:
            kind(**{one.name: value})
        assert one.name in str(error.value)
        assert f"{one.least:g} .. {one.most:g}" in str(error.value)


@pytest.mark.parametrize(("kind", "one"), DECLARED, ids=IDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, "fast", None])
def test_what_is_no_number_is_refused(kind, one, value):
    with pytest.raises(ValidationError):
        kind(**{one.name: value})


@pytest.mark.parametrize(("kind", "one"), DECLARED, ids=IDS)
def test_hyperparameters_are_documented_and_log_ranges_are_positive(kind, one):
    assert one.doc
    assert one.least <= one.low <= one.default <= one.high <= one.most
    assert one.low < one.high
    assert one.low > 0 or not one.log


def test_unknown_names_are_refused_with_the_nearest_known_one():
    with pytest.raises(ValidationError, match=r"dt_mox.*did you mean dt_max\?"):
        GadHyperparameters(dt_mox=0.05)


@given(st.text("adtmx_", min_size=1).filter(lambda name: name not in PUBLISHED))
def test_any_other_name_is_refused(name):
    with pytest.raises(ValidationError, match="unknown hyperparameter"):
        GadHyperparameters(**{name: 1.0})


def test_hyperparameters_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        GadHyperparameters().dt_max = 0.02


def test_every_wrong_value_is_named():
    with pytest.raises(ValidationError, match=r"dt_min = 1: .*; trust_radius_max = 9: "):
        GadHyperparameters(dt_min=1, trust_radius_max=9)


def test_range_text_has_the_unit():
    declared = {one.name: one for one in GadHyperparameters.tunable()}
    assert declared["trust_radius_max"].range_text == "0.1 .. 0.5 A"
    assert declared["plateau_patience"].range_text == "3 .. 20"
