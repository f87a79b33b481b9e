from pathlib import Path

import pytest
import yaml

from gadlib.cli import notebooks, slurm
from gadlib.cli.job_parameters import parameters_of
from gadlib.files.writing import write_json
from gadlib.settings.reading import InputError

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "papermill_jobs").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_parameter_file_fits_its_notebook(path):
    name = "02_tune" if path.stem.endswith("hpo") else "01_screen"
    values = parameters_of(name, yaml.safe_load(path.read_text()), {})
    notebooks.require_parameters(notebooks.notebook(name), values)
    script = path.with_suffix(".slurm").read_text()
    assert f"NOTEBOOK:-{name}" in script
    for line in ("cpus-per-task=8", "mem=32G", "time=24:00:00", "signal=B:USR1@120"):
        assert f"#SBATCH --{line}" in script
    assert ("gres=gpu:1" in script) == path.stem.startswith("hip")


def test_variables_take_precedence_in_their_types():
    variables = {
        "N_TRIALS": "7",
        "DIFFICULTY_THRESHOLD": "0.25",
        "START_FROM": "ts_noise0.1A",
        "STUDY_NAME": "123",
        "SLURM_CPUS_PER_TASK": "8",
        "RESUME": "--resume",
        "N_SAMPLES": "",
    }
    values = parameters_of("02_tune", {"n_trials": 5, "n_samples": 3}, variables)
    assert values["n_trials"] == 7
    assert values["difficulty_threshold"] == 0.25
    assert values["study_name"] == "123"
    assert (values["workers"], values["resume"], values["n_samples"]) == (8, True, 3)


def test_hyperparameters_come_from_the_best_and_from_capitals(tmp_path):
    best = write_json(tmp_path / "b.json", {"best_params": {"dt_max": 0.02, "escape_delta": 0.3}})
    found = parameters_of("01_screen", {}, {"BEST": str(best), "ESCAPE_DELTA": "0.15"})
    assert found["hyperparameters"] == {"dt_max": 0.02, "escape_delta": 0.15}


def test_capitals_fix_values_of_a_study_and_the_best_of_another_do_not(tmp_path):
    best = write_json(tmp_path / "b.json", {"best_params": {"dt_max": 0.02}})
    variables = {"BEST": str(best), "ESCAPE_DELTA": "0.15"}
    found = parameters_of("02_tune", {"hyperparameters": {"integrator": "damped"}}, variables)
    assert found["hyperparameters"] == {"integrator": "damped", "escape_delta": 0.15}


@pytest.mark.parametrize(
    ("name", "given", "variables", "reason"),
    [
        ("02_tune", {"n_trails": 3}, {}, "n_trails"),
        ("02_tune", {"n_trials": "many"}, {}, "n_trials"),
        ("02_tune", {}, {"N_TRIALS": "1.5"}, "N_TRIALS=1.5"),
        ("01_screen", {}, {"ESCAPE_DELTA": "99"}, "escape_delta = 99"),
        ("01_screen", {}, {"BEST": "/nowhere.json"}, "nowhere"),
        ("02_tune", {"storage": "postgresql://u:p@h/d"}, {}, "variable STORAGE"),
        ("04_other", {}, {}, "expected one of"),
    ],
)
def test_wrong_parameters_stop_the_job_before_it_starts(
    name, given, variables, reason, tmp_path, monkeypatch
):
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(given | {"out_dir": str(tmp_path / "out")}))
    with pytest.raises(InputError, match=reason):
        slurm.run(name, path)
    assert not (tmp_path / "out").exists()


def test_the_storage_is_no_parameter(monkeypatch):
    values = parameters_of("02_tune", {}, {"STORAGE": "postgresql+psycopg://u:SECRET@h/d"})
    assert "SECRET" not in str(values)
    monkeypatch.setenv("STORAGE", "postgresql+psycopg://u:SECRET@h/d")
    with slurm._kernel_variables() as variables:
        assert "SECRET" in variables["GADLIB_STORAGE"]
