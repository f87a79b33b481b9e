"""The notebooks are thin, stripped and declared, and take any calculator."""

from __future__ import annotations

import ast

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import papermill
import pytest
from figures import run_cells
from small_hip import small_checkpoint

from gadlib.cli import demo, notebooks
from gadlib.screening.records import read_records
from gadlib.settings.benchmarks import BenchmarkSettings, GrowthSettings
from gadlib.settings.results import PathSettings
from gadlib.settings.searches import ExploreSettings, FindSettings, ScreenSettings, SearchSettings
from gadlib.settings.studies import TuneSettings, ValidateSettings

SETTINGS = {
    "00_tour": (SearchSettings,),
    "01_screen": (ScreenSettings,),
    "02_tune": (TuneSettings,),
    "03_results": (ValidateSettings, TuneSettings),  # where the study is, besides
    "04_benchmark": (BenchmarkSettings, GrowthSettings),
    "05_validate": (PathSettings, FindSettings),
    "06_explore": (ExploreSettings,),
}


def cells(name: str, kind: str = "code") -> list:
    found = nbformat.read(notebooks.notebook(name), as_version=4)
    return [cell for cell in found.cells if cell.cell_type == kind]


def test_all_notebooks_are_tested():
    assert {path.stem for path in notebooks.NOTEBOOKS.glob("*.ipynb")} == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
class TestThin:
    def test_stripped(self, name):
        for cell in cells(name):
            assert cell.outputs == []
            assert cell.execution_count is None

    def test_opens_with_a_title_and_a_question(self, name):
        title, *_ = cells(name, "markdown")[0].source.splitlines()
        assert title.startswith("# ")
        assert title.endswith("?")

    def test_second_cell_holds_the_parameters(self, name):
        tagged = [cell for cell in cells(name) if "parameters" in cell.metadata.get("tags", [])]
        assert tagged == cells(name)[:1]

    def test_parameters_are_annotated_literals_with_comments(self, name):
        source = cells(name)[0].source
        for node, line in zip(ast.parse(source).body, source.splitlines(), strict=True):
            assert isinstance(node, ast.AnnAssign)
            ast.literal_eval(node.value)  # raises for anything else
            assert "  # " in line

    def test_few_short_cells_without_definitions(self, name):
        assert len(cells(name)) <= 15
        for cell in cells(name)[1:]:
            assert len(cell.source.splitlines()) <= 8
            forbidden = (ast.FunctionDef, ast.ClassDef, ast.Try, ast.Lambda)
            assert not any(isinstance(n, forbidden) for n in ast.walk(ast.parse(cell.source)))

    def test_papermill_knows_every_parameter_by_the_name_of_a_setting(self, name):
        fields = {field for kind in SETTINGS[name] for field in kind.model_fields}
        found = papermill.inspect_notebook(str(notebooks.notebook(name)))
        assert len(found) == len(cells(name)[0].source.splitlines())
        assert set(found) <= fields

    def test_defaults_can_be_followed(self, name):
        namespace: dict = {}
        exec(cells(name)[0].source, namespace)
        kind = SETTINGS[name][0]
        settings = kind.from_namespace(namespace)
        assert all(
            getattr(settings, n) == namespace[n] for n in kind.model_fields if n in namespace
        )


def test_notebooks_agree_on_what_is_searched():
    shared = ("calculator", "scine_functional", "solver", "start_from", "noise_seed", "criterion")
    values: list[dict] = [{}, {}, {}]
    for namespace, name in zip(values, demo.NAMES, strict=True):
        exec(cells(name)[0].source, namespace)
    for name in shared:
        assert len({namespace[name] for namespace in values}) == 1
    assert values[0]["n_steps_per_sample"] == values[1]["screening_steps"]


@pytest.fixture
def drawn_nowhere():
    matplotlib.use("Agg")
    yield
    plt.close("all")


def _tblite(folder) -> dict:
    pytest.importorskip("tblite")
    options = {"method": "GFN2-xTB", "verbosity": 0}
    return {"calculator": "ase", "ase_calculator": "tblite.ase:TBLite", "ase_options": options}


def _hip(folder) -> dict:
    checkpoint = small_checkpoint(folder / "small.ckpt")
    return {"calculator": "hip", "checkpoint_path": str(checkpoint), "device": "cpu"}


@pytest.mark.slow
@pytest.mark.parametrize("potential", [_tblite, _hip], ids=["ase", "hip"])
def test_notebooks_take_any_calculator_by_parameters_alone(potential, tmp_path, drawn_nowhere):
    chosen = potential(tmp_path)
    tiny = {"max_samples": 3, "n_steps_per_sample": 2, "workers": 0} | chosen
    small = {
        "01_screen": tiny | {"split": "train"},
        "02_tune": tiny | {"screening_steps": 2, "n_samples": 2, "n_trials": 2},
        "03_results": tiny,
    }
    study = tmp_path / "study.db"
    small["02_tune"]["storage"] = small["03_results"]["storage"] = f"sqlite:///{study}"
    for name, values in demo.parameters(tmp_path, 0).items():
        assert run_cells(name, values | small[name]) == ""
    for stem in ("screening", "default", "tuned"):
        settings, records = read_records(tmp_path / f"{stem}.json")
        assert settings["calculator"] == chosen["calculator"]
        assert len(records) == 3
        assert all(r.energy is not None for r in records)


def test_notebooks_take_portfolios_of_starts_by_parameters_alone(tmp_path, drawn_nowhere):
    pytest.importorskip("scine_sparrow")
    one, two = "idpp_rp", "idpp_rp+midpoint_rp_noise0.1A"
    tiny = {"max_samples": 3, "n_steps_per_sample": 4, "workers": 0, "solver": "trust"}
    small = {
        "01_screen": tiny | {"split": "train", "start_from": two},
        "02_tune": tiny
        | {"screening_steps": 4, "n_samples": 2, "n_trials": 4, "start_from": two}
        | {"choices": {"start_from": [two, one]}},
        "03_results": tiny | {"start_from": two},
    }
    study = tmp_path / "study.db"
    small["02_tune"]["storage"] = small["03_results"]["storage"] = f"sqlite:///{study}"
    for name, values in demo.parameters(tmp_path, 0).items():
        assert run_cells(name, values | small[name]) == ""
    for stem in ("screening", "default"):
        _, records = read_records(tmp_path / f"{stem}.json")
        assert {r.start for r in records} == {two}
        assert any(len(r.searches) == 2 for r in records)
