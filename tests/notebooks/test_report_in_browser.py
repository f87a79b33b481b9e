"""The page of results in a real browser: whole, by itself, without a complaint."""

from __future__ import annotations

import shutil

import nbformat
import pages
import papermill
import pytest
from little_studies import write_studies

from gadlib.cli import notebooks
from gadlib.cli.parser import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(pages.CHROMIUM is None, reason="chromium is not installed"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_BOXES = """() => [...document.querySelectorAll('figure')].map(figure => {
    const image = figure.querySelector('svg, img');
    const box = image.getBoundingClientRect();
    const isBlank = image.tagName === 'IMG' ? !image.naturalWidth : !image.querySelector('path');
    return {left: box.left, right: box.right, height: box.height, isBlank};
})"""


@pytest.fixture
def results(tmp_path):
    return write_studies(tmp_path)


def test_page_of_results_opens_from_a_file_with_all_its_figures(results):
    out = results / "page.html"
    urls = ",".join(f"sqlite:///{results / name}.db" for name in ("one", "two"))
    command = ["report", "--storage", urls, "--validation", str(results), "--out", str(out)]
    assert main(command) == 0
    with playwright.sync_playwright() as found:
        visit = pages.Visit(found)
        visit.page.goto(out.as_uri())
        boxes = visit.page.evaluate(_BOXES)
        width = visit.page.evaluate("document.documentElement.clientWidth")
        scrolled = visit.page.evaluate("document.documentElement.scrollWidth")
        headings = visit.page.locator("h2").all_inner_texts()
        visit.page.screenshot(path=results / "page.png", full_page=True)
        visit.close()
    assert visit.other_hosts == set()
    assert set(visit.requests) == {out.as_uri()} | {
        url for url in visit.requests if url.startswith("data:")
    }
    assert visit.complaints == []
    assert headings[:3] == ["Is the gain real?", "Which hyperparameter matters?", "Other seeds"]
    assert len(boxes) == 10
    for box in boxes:
        assert not box["isBlank"]
        assert box["height"] > 100
        assert 0 <= box["left"] < box["right"] <= width
    assert scrolled <= width  # nothing is cut off at the side


def test_html_of_a_notebook_asks_nothing_of_other_machines(tmp_path):
    copied = tmp_path / "05_validate.ipynb"
    shutil.copy(notebooks.notebook("05_validate"), copied)
    notebooks.to_html(copied)
    with playwright.sync_playwright() as found:
        visit = pages.Visit(found)
        visit.page.goto(copied.with_suffix(".html").as_uri())
        visit.page.wait_for_timeout(500)  # scripts that load others
        headings = visit.page.locator("h1").all_inner_texts()
        visit.close()
    assert headings[0].startswith("5. Is it the right saddle?")
    assert visit.other_hosts == set()
    assert visit.complaints == []


@pytest.mark.usefixtures("warm_kernels")
def test_html_of_a_notebook_holds_figures_of_optuna_visualization(tmp_path):
    cells = [
        "import optuna\nstudy = optuna.create_study(direction='maximize')",
        "study.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=5)",
        "optuna.visualization.plot_optimization_history(study)",
        "optuna.visualization.plot_slice(study).show()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    source, executed = tmp_path / "pasted.ipynb", tmp_path / "executed.ipynb"
    nbformat.write(notebook, source)
    papermill.execute_notebook(source, executed, kernel_name="python3", progress_bar=False)
    notebooks.to_html(executed)
    with playwright.sync_playwright() as found:
        visit = pages.Visit(found)
        visit.page.goto(executed.with_suffix(".html").as_uri())
        visit.page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length == 2")
        n_points = visit.page.locator(".js-plotly-plot .scatterlayer .point").count()
        visit.page.screenshot(path=tmp_path / "plotly.png", full_page=True)
        visit.close()
    assert n_points >= 10
    assert visit.other_hosts == set()
    assert visit.complaints == []
