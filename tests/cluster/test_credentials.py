"""The password of a database is used, and found nowhere afterwards."""

import os
import subprocess
import sys
import time
from pathlib import Path

import papermill
import pytest
import warm
from little_reactions import write_h5

from gadlib.cli import notebooks
from gadlib.cli.parser import main
from gadlib.cli.slurm import parameters_of
from gadlib.files.reading import read_json
from gadlib.report.page.gather import without_passwords
from gadlib.settings.reading import InputError
from gadlib.settings.studies import StudySettings, TuneSettings

ROOT = Path(__file__).parents[2]
PASSWORD = "SECRET-7f3a"
URL = f"postgresql+psycopg://u:{PASSWORD}@127.0.0.1:1/d"


def holders(folder):
    """The files in the folder with the password in content or name, and all files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    part = PASSWORD.encode()  # that of the server, but for its beginning
    return [p for p in files if part in p.read_bytes() or PASSWORD in str(p)], files


def settings_of(folder, name):
    """Settings of a study of some seconds, on molecules of three and four atoms."""
    return {
        "h5_path": str(write_h5(folder / "little.h5")),
        "out_dir": str(folder / "out"),
        "study_name": name,
        "n_trials": 2,
        "n_samples": 1,
        "n_steps_per_sample": 3,
        "screening_steps": 2,
        "workers": 0,
    }


def tried(command, folder, **variables):
    """The exit status; what the process says is beside its other files."""
    with (folder / "said").open("w") as said:
        return warm.run(
            [sys.executable, "-m", *command],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | {"WANDB_MODE": "offline"} | variables,
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
        ).returncode


def require_tracked(folder):
    """Wait for what W&B keeps, which a process of its own writes."""
    until = time.monotonic() + 120
    while not any(b"best/score" in p.read_bytes() for p in folder.glob("out/wandb/*/*.wandb")):
        assert time.monotonic() < until, sorted(folder.rglob("*"))
        time.sleep(0.2)


def flags_of(settings):
    return [part for name, value in settings.items() for part in (f"--{name}", str(value))]


@pytest.mark.postgres
def test_the_command_line_leaves_no_password(postgres, tmp_path, monkeypatch, capfd):
    settings = settings_of(tmp_path, "line")
    flags = [flag.replace("_", "-") if flag[:2] == "--" else flag for flag in flags_of(settings)]
    command = ["gadlib", "tune", *flags, "--storage", postgres.url]
    assert tried(command, tmp_path) == 0, (tmp_path / "said").read_text()
    require_tracked(tmp_path)
    monkeypatch.setenv("GADLIB_STORAGE", postgres.url)
    assert main(["status", "--study-name", "line"]) == 0
    command = ["report", "--storage", postgres.url, "--study-name", "line"]
    assert main([*command, "--out", str(tmp_path / "out" / "page.html")]) == 0
    assert PASSWORD not in "".join(capfd.readouterr())
    assert "postgres:***@" in (tmp_path / "out" / "page.html").read_text()
    assert read_json(tmp_path / "out" / "hpo_results.json")["n_trials"]["complete"] >= 1
    found, files = holders(tmp_path)
    assert found == []
    assert {"said", "page.html", "hpo_results.json", "screening.json"} <= {p.name for p in files}
    assert any("samples" in p.parts for p in files)


@pytest.mark.postgres
def test_a_notebook_leaves_no_password(postgres, tmp_path):
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text("\n".join(f"{k}: {v}" for k, v in settings_of(tmp_path, "book").items()))
    with parameters.open("a") as file:
        file.write("\nscreening: null\n")
    command = ["gadlib", "job", "02_tune", "--parameters", str(parameters)]
    assert tried(command, tmp_path, STORAGE=postgres.url) == 0, (tmp_path / "said").read_text()
    require_tracked(tmp_path)
    found, files = holders(tmp_path)
    assert found == []
    assert "02_tune.ipynb" in {p.name for p in files}
    assert "postgres:***@" in (tmp_path / "out" / "02_tune.ipynb").read_text()


@pytest.mark.postgres
@pytest.mark.usefixtures("warm_kernels")
def test_a_wrong_password_is_told_without_it(postgres, tmp_path, capfd, monkeypatch):
    wrong = postgres.url.replace(PASSWORD, f"more-{PASSWORD}")
    settings = settings_of(tmp_path, "wrong")
    flags = [flag.replace("_", "-") if flag[:2] == "--" else flag for flag in flags_of(settings)]
    assert main(["tune", *flags, "--storage", wrong]) == 2
    said = "".join(capfd.readouterr())
    assert "password authentication failed" in said
    assert PASSWORD not in said
    monkeypatch.setenv("GADLIB_STORAGE", wrong)
    with pytest.raises(papermill.PapermillExecutionError, match="authentication failed") as error:
        papermill.execute_notebook(
            str(notebooks.notebook("02_tune")),
            str(tmp_path / "book.ipynb"),
            parameters=settings,
            kernel_name="python3",
            progress_bar=False,
        )
    assert PASSWORD not in str(error.value) + "".join(capfd.readouterr())
    assert "authentication failed" in (tmp_path / "book.ipynb").read_text()
    assert holders(tmp_path)[0] == []


@pytest.mark.parametrize("name", ["storage", "best"])
@pytest.mark.parametrize("url", [URL, f"postgresql+psycopg://h/d?user=u&password={PASSWORD}"])
def test_a_notebook_refuses_a_password_among_its_parameters(name, url):
    with pytest.raises(InputError, match=r"GADLIB_STORAGE.* PGPASSWORD") as error:
        TuneSettings.from_namespace({name: url})
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize(
    "url", ["sqlite:////a@b:c/s.db", "postgresql+psycopg://u@h:1/d", "journal:///s.log", None]
)
def test_a_url_without_a_password_may_be_a_parameter(url):
    assert TuneSettings.from_namespace({"storage": url}).storage == url
    assert parameters_of("03_results", {"storage": url}, {})["storage"] == url
    assert "storage" not in parameters_of("03_results", {"storage": url}, {"STORAGE": URL})


def test_settings_that_are_printed_show_no_storage():
    for kind in (TuneSettings, StudySettings):
        assert PASSWORD not in f"{kind(storage=URL)!r} {kind(storage=URL)}"


@pytest.mark.parametrize("arguments", [["--storage", f"{URL},{URL}"], [f"--storage={URL},a=b"]])
def test_a_command_is_shown_without_passwords(arguments):
    shown = without_passwords([*arguments, "--out", "a=b,c"])
    assert PASSWORD not in str(shown)
    assert "u:***@127.0.0.1:1/d" in str(shown)
    assert shown[-2:] == ["--out", "a=b,c"]
