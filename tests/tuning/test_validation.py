"""What is validated, and what is refused before anything is searched."""

import json
from pathlib import Path

import pytest

from gadlib.settings.reading import InputError
from gadlib.settings.studies import ValidateSettings
from gadlib.tuning.validation import as_tuned, require_values, transfer_of, tuned_values

ABOUT = {"solver": "gad", "criterion": "index1", "reactions": ["rxn00", "rxn01"]}


@pytest.fixture
def best(tmp_path):
    """A file of tuned values, made with these changes to what it is about."""

    def write(params=None, **changes):
        path = tmp_path / "hpo_results.json"
        content = {"best_params": params or {"dt_max": 0.02}, "about": ABOUT | changes}
        path.write_text(json.dumps(content))
        return str(path)

    return write


def test_values_are_those_of_the_file_and_given_ones_go_before(best):
    path = best({"dt_max": 0.02, "plateau_patience": 7})
    found = tuned_values(ValidateSettings(best=path, hyperparameters={"dt_max": 0.03}))
    assert found == ({"dt_max": 0.03, "plateau_patience": 7}, {"rxn00", "rxn01"})


def test_values_may_be_given_without_a_file():
    settings = ValidateSettings(hyperparameters={"dt_max": 0.03})
    assert tuned_values(settings) == ({"dt_max": 0.03}, set())
    assert transfer_of(settings) == []


def test_there_must_be_values():
    with pytest.raises(InputError, match=r"^nothing to validate: expected --best"):
        tuned_values(ValidateSettings())


@pytest.mark.parametrize("value", [0.02, 9.0])
def test_values_out_of_the_solvers_range_are_refused_with_their_file(best, value):
    settings = ValidateSettings(best=best())
    if value == 0.02:
        require_values(settings, {"dt_max": value})
        return
    with pytest.raises(InputError, match=f"^{settings.best}: .*dt_max = 9"):
        require_values(settings, {"dt_max": value})
    with pytest.raises(InputError, match=r"^dt_max = 9|^hyperparameters"):
        require_values(ValidateSettings(), {"dt_max": value})


def test_a_transfer_has_to_be_allowed_and_is_told(best):
    path = best(criterion="strict")
    with pytest.raises(InputError, match="tuned for something else: criterion was 'strict', now"):
        transfer_of(ValidateSettings(best=path))
    allowed = ValidateSettings(best=path, allow_transfer=True)
    assert transfer_of(allowed) == ["criterion was 'strict', now 'index1'"]
    assert transfer_of(ValidateSettings(best=best())) == []


def test_what_is_not_given_is_as_the_values_were_tuned(best, tmp_path, capsys):
    about = {"solver": "trust", "criterion": "bound", "start_from": "ts", "scine_functional": "PM6"}
    path = best({"radius_max": 0.3}, calculator="scine", **about)
    content = json.loads((tmp_path / "hpo_results.json").read_text())
    (tmp_path / "hpo_results.json").write_text(json.dumps(content | {"settings": about}))
    found = as_tuned(ValidateSettings(best=path, criterion="strict", split="val"))
    assert (found.solver, found.start_from, found.scine_functional) == ("trust", "ts", "PM6")
    assert (found.criterion, found.split) == ("strict", "val")  # as given
    told = capsys.readouterr().err
    assert f"as in {path}: calculator 'scine', scine_functional 'PM6'" in told
    assert f"as in {path}: solver 'trust', start_from 'ts'" in told
    assert as_tuned(found) == found
    with pytest.raises(InputError, match=r"criterion was 'bound', now 'strict'[^;]*; expected"):
        transfer_of(found)


def test_calculator_is_taken_with_its_paths_or_not_at_all(best):
    path = best(calculator="hip", checkpoint_path="0123abcd", scine_functional="PM6")
    found = as_tuned(ValidateSettings(best=path))  # a profile, which knows the content alone
    assert (found.calculator, found.checkpoint_path) == ("scine", None)
    content = json.loads(Path(path).read_text())
    kept = {"calculator": "hip", "checkpoint_path": "hip_v2.ckpt"}
    Path(path).write_text(json.dumps(content | {"settings": kept}))
    found = as_tuned(ValidateSettings(best=path))
    assert (found.calculator, found.checkpoint_path) == ("hip", "hip_v2.ckpt")
    other = as_tuned(ValidateSettings(best=path, calculator="surface"))
    assert (other.calculator, other.checkpoint_path) == ("surface", None)


def test_values_without_a_file_are_validated_as_asked():
    settings = ValidateSettings(hyperparameters={"dt_max": 0.03})
    assert as_tuned(settings) is settings
