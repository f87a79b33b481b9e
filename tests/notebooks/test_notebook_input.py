"""What a notebook is given and cannot use is a sentence; the other figures still appear."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest
from ase import Atoms
from ase.io import write
from figures import run_cells
from little_studies import DEFAULTS, foreign, make_study, of_other_parameters, stored, texts
from papermill.exceptions import PapermillExecutionError

from gadlib.cli import notebooks
from gadlib.files.writing import write_json
from gadlib.molecules import reactions, starting_points
from gadlib.paths.intended import _saddles
from gadlib.screening.records import Record, payload
from gadlib.settings.results import PathSettings
from gadlib.settings.searches import SearchSettings
from gadlib.solver.state import Status


@pytest.fixture(autouse=True)
def drawn_nowhere(monkeypatch):
    matplotlib.use("Agg")
    plt.close("all")  # what other tests have drawn
    monkeypatch.chdir("/")  # nothing may be found, or left, where the tests run
    yield
    plt.close("all")


def drawn() -> list[str]:
    return [texts(plt.figure(n)).replace("\n", " ") for n in plt.get_fignums()]


NOT_YET = "has no completed trial yet"
STUDIES = {
    "empty": (make_study(), NOT_YET, "No importances can be told"),
    "only failed": (make_study((DEFAULTS, None)), NOT_YET, "No importances can be told"),
    "one trial": (make_study((DEFAULTS, 0.5)), "1 completed", "No importances can be told"),
    "several objectives": (foreign(), NOT_YET, "No importances can be told"),
    "other parameters": (of_other_parameters(), "4 completed", "Importance of the"),
}


@pytest.mark.parametrize(("study", "history", "importances"), STUDIES.values(), ids=STUDIES)
def test_results_of_a_strange_study_are_drawn_as_far_as_they_go(
    study, history, importances, tmp_path, capsys
):
    url = stored(study, f"sqlite:///{tmp_path}/study.db")
    values = {"storage": url, "study_name": study.study_name, "best": str(tmp_path / "no.json")}
    assert "no.json: can't be read" in run_cells("03_results", values)
    figures = drawn()
    assert len(figures) == 9
    assert history in figures[0]
    assert "has one objective" in figures[1]
    assert importances in figures[2]
    assert all(figures)
    assert "tells what became of its samples" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("content", "study_name", "sentence"),
    [
        (None, "gad_hpo", "study.db"),
        ("no database", "gad_hpo", "study.db"),
        ("study", "another", "no study 'another'; studies there: little"),
    ],
    ids=["no file", "no database", "no such study"],
)
def test_results_without_a_study_still_compare_what_was_validated(
    content, study_name, sentence, tmp_path, capsys
):
    path = tmp_path / "study.db"
    if content == "study":
        stored(make_study((DEFAULTS, 0.5)), f"sqlite:///{path}")
    elif content is not None:
        path.write_text(content)
    write_json(tmp_path / "best.json", {"best_params": {"dt_max": 0.06}})
    values = {"storage": f"sqlite:///{path}", "study_name": study_name, "split": "test"}
    values |= {"best": str(tmp_path / "best.json"), "out_dir": str(tmp_path / "out")}
    values |= {"max_samples": 2, "n_steps_per_sample": 3, "workers": 0}
    assert run_cells("03_results", values) == ""
    assert sentence in capsys.readouterr().out.replace("\n", " ")
    figures = drawn()
    assert len(figures) == 12
    assert all(NOT_YET in told for told in (figures[0], *figures[4:7]))
    assert "95 % Wilson intervals" in figures[9]
    assert "No group has enough searches" in figures[11]


@pytest.mark.parametrize("content", [None, "", "{}", '{"paths": []}'])
def test_paths_of_no_result_file_are_refused_in_a_sentence(content, tmp_path):
    path = tmp_path / "search.json"
    if content is not None:
        path.write_text(content)
    values = {"records": str(path), "out_dir": str(tmp_path / "irc")}
    assert str(path) in run_cells("05_validate", values)


def test_paths_of_searches_without_a_saddle_are_sentences(tmp_path, capsys):
    starts = starting_points.starts(reactions.read(split="test", max_samples=1), "ts")
    records = [Record.blank(start, Status.OUT_OF_STEPS, "") for start in starts]
    write_json(tmp_path / "search.json", payload(SearchSettings(), records))
    values = {"records": str(tmp_path / "search.json"), "out_dir": str(tmp_path / "irc")}
    assert run_cells("05_validate", values) == ""
    assert "there is no strict one among the records" in capsys.readouterr().out
    levels, *figures = drawn()
    assert "intended" in levels
    assert all("there is no strict one among the records" in told for told in figures)
    assert len(figures) == 2


def test_a_saddle_that_cannot_be_followed_is_a_row_beside_the_others(tmp_path, capsys):
    good, bad = _saddles(PathSettings(), reactions.read(split="test", max_samples=2))
    bad.positions[0] = bad.positions[1]  # two atoms in one place
    write_json(tmp_path / "search.json", payload(SearchSettings(), [good, bad]))
    values = {"records": str(tmp_path / "search.json"), "out_dir": str(tmp_path / "irc")}
    assert run_cells("05_validate", values) == ""
    assert "1 intended, 1 failed" in capsys.readouterr().out
    assert len(drawn()) == 3


def test_two_files_are_found_and_what_is_found_is_followed(tmp_path, capsys):
    (known,) = [r for r in reactions.read() if r.name == "rxn0098"]
    ends = {"reactant": known.reactant, "product": known.product}
    for name, positions in ends.items():
        write(tmp_path / f"{name}.xyz", Atoms(known.atomic_numbers, positions))
    files = {name: str(tmp_path / f"{name}.xyz") for name in ends}
    assert run_cells("05_validate", files | {"out_dir": str(tmp_path / "irc")}) == ""
    said = capsys.readouterr().out
    assert "Of 1 reactions: 1 intended." in said
    assert "Of 1 saddles followed: 1 intended." in said


@pytest.mark.parametrize(
    ("name", "wrong", "sentence"),
    [
        ("02_tune", {"h5_path": "no.h5", "screening": None}, "no.h5: no such file"),
        ("02_tune", {"screening": "no.json"}, "no.json: can't be read"),
        ("05_validate", {"records": "no.json"}, "no.json: can't be read"),
    ],
)
def test_a_notebook_ends_on_the_sentence(name, wrong, sentence, tmp_path):
    assert sentence in run_cells(name, wrong | {"out_dir": str(tmp_path / "out")})


@pytest.mark.slow
@pytest.mark.usefixtures("warm_kernels")
def test_a_kernel_shows_the_sentence_and_no_traceback(tmp_path):
    wrong = {"records": "no.json", "out_dir": str(tmp_path / "out")}
    target = tmp_path / "executed.ipynb"
    with pytest.raises(PapermillExecutionError, match=r"no\.json: can't be read"):
        notebooks.execute(notebooks.notebook("05_validate"), target, wrong)
    outputs = [o for c in nbformat.read(target, as_version=4).cells for o in c.get("outputs", [])]
    (shown,) = [o for o in outputs if o.output_type == "error" and o.ename == "InputError"]
    assert len(shown.traceback) == 1
    assert shown.traceback[0].startswith("InputError: ")
