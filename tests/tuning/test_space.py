import optuna
import pytest

from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.settings.reading import InputError
from gadlib.tuning.space import SAMPLERS, left_out_defaults, sampler, space, suggest


def test_ranges_replace_the_declared_ones():
    drawn = {k.name: k for k in space("gad", {"escape_delta": [0.01, 1.0]})}
    assert (drawn["escape_delta"].low, drawn["escape_delta"].high) == (0.01, 1.0)
    declared = {k.name: k for k in GadHyperparameters.tunable()}
    assert drawn["dt_max"] == declared["dt_max"]


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        ({"escape": [0.1, 1.0]}, "unknown hyperparameter"),
        ({"escape_delta": [0.5, 0.1]}, "expected"),
        ({"escape_delta": [0.0, 1.0]}, "0.001 .. 2 A"),
        ({"plateau_patience": [3.5, 9]}, "in whole numbers"),
        ({"escape_delta": [0.2, 0.3], "dt_max": [float("nan"), 1.0]}, "dt_max = .nan, 1.0."),
        ({"adaptive_delta": [0, 1], "adaptive_delta_scale": [0, 1]}, "given twice"),
        ({"escape_delta": [0.1]}, "expected"),
    ],
)
def test_ranges_that_cannot_be_are_refused(ranges, reason):
    with pytest.raises(InputError, match=reason):
        space("gad", ranges)


def test_a_range_may_leave_out_the_default_which_is_told():
    drawn = space("gad", {"escape_delta": [0.2, 1.0]})
    assert "trial 0, the defaults, is outside" in left_out_defaults(drawn)
    assert "escape_delta (0.1, drawn from 0.2 .. 1)" in left_out_defaults(drawn)
    assert left_out_defaults(space("gad", {"escape_delta": [0.01, 1.0]})) == ""


def test_ranges_know_the_names_of_published_scripts():
    assert space("gad", {"max_atom_disp": [0.2, 0.3]}) == space(
        "gad", {"trust_radius_max": [0.2, 0.3]}
    )


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_from_the_ranges(name):
    if name == "cmaes":
        pytest.importorskip("cmaes")
    study = optuna.create_study(sampler=sampler(name, 7, 2, study_seed=7), direction="maximize")
    for _ in range(4):
        trial = study.ask()
        drawn = suggest(trial, "gad", space("gad", {"dt_max": [0.04, 0.06]}))
        assert 0.04 <= drawn.model_dump()["dt_max"] <= 0.06
        study.tell(trial, drawn.model_dump()["dt_max"])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_goes_on_from_defaults_outside_the_ranges(name):
    if name == "cmaes":
        pytest.importorskip("cmaes")
    ranges = space("gad", {"dt_max": [0.06, 0.1]})
    study = optuna.create_study(sampler=sampler(name, 7, 2, study_seed=7), direction="maximize")
    study.enqueue_trial({k.name: k.default for k in ranges})
    drawn = []
    for _ in range(6):
        trial = study.ask()
        drawn.append(suggest(trial, "gad", ranges).model_dump()["dt_max"])
        study.tell(trial, drawn[-1])
    assert drawn[0] == 0.05
    assert all(0.06 <= value <= 0.1 for value in drawn[1:])


def test_space_is_the_declared_ranges():
    trial = optuna.create_study().ask()
    drawn = suggest(trial, "gad")
    for declared in GadHyperparameters.tunable():
        found = trial.distributions[declared.name]
        assert (found.low, found.high, found.log) == (declared.low, declared.high, declared.log)
        assert trial.params[declared.name] == getattr(drawn, declared.name)


def test_an_unknown_sampler_is_refused():
    with pytest.raises(InputError, match="tpe, gp, cmaes"):
        sampler("best", 1, 1)
