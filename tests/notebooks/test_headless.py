"""A figure for every draw call where no one looks: jobs, and papermill with MPLBACKEND=Agg."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import papermill
import pytest
import yaml
from figures import draw_calls, figures

from gadlib.cli import demo, job_parameters, notebooks, slurm

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TINY = {"start_from": "midpoint_rt_noise0.1A", "n_steps_per_sample": 6, "max_samples": 4}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """A folder in which the three notebooks were run as jobs."""
    out = tmp_path_factory.mktemp("jobs")
    small = {
        "01_screen": TINY | {"split": "all"},
        "02_tune": TINY | {"screening_steps": 6, "n_samples": 2, "n_trials": 3, "batch_size": 2},
        "03_results": TINY,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")
        for name, values in demo.parameters(out, 1).items():
            parameters = out / f"{name}.yaml"
            parameters.write_text(yaml.safe_dump(values | small[name]))
            assert slurm.run(name, parameters) == 0
    return out


@pytest.mark.parametrize("name", job_parameters.KINDS)
def test_notebook_run_as_a_job_holds_a_figure_for_every_draw_call(name, jobs):
    found = figures(jobs / f"{name}.ipynb")
    assert len(found) == len(draw_calls(name)) > 0
    assert all(len(png) > 3000 for png in found)  # an empty one has less


def test_executed_copy_of_an_earlier_job_is_never_overwritten(jobs):
    before = (jobs / "01_screen.ipynb").read_bytes()
    parameters = jobs / "01_screen.yaml"
    values = yaml.safe_load(parameters.read_text()) | {"resume": True}
    parameters.write_text(yaml.safe_dump(values))
    assert slurm.run("01_screen", parameters) == 0
    assert (jobs / "01_screen.ipynb").read_bytes() == before
    assert len(figures(jobs / "01_screen.2.ipynb")) == len(draw_calls("01_screen"))


SMALL = {
    "00_tour": {"n_steps_per_sample": 20},
    "01_screen": TINY,
    "05_validate": {"max_samples": 2},
}


@pytest.mark.parametrize("name", SMALL)
def test_notebook_run_with_a_backend_that_shows_nothing_holds_its_figures(name, tmp_path):
    executed = tmp_path / "executed.ipynb"
    values = SMALL[name] | {"out_dir": str(tmp_path / "out"), "workers": 1}
    known = papermill.inspect_notebook(str(notebooks.notebook(name)))
    given = [word for k, v in values.items() if k in known for word in ("-p", k, str(v))]
    subprocess.run(
        [sys.executable, "-m", "papermill", str(notebooks.notebook(name)), str(executed), *given],
        env=os.environ | {"MPLBACKEND": "Agg", "JUPYTER_PREFER_ENV_PATH": "1"},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert len(figures(executed)) == len(draw_calls(name)) > 0
