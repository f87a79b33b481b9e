"""06_explore in a real browser, in JupyterLab and under voila; nothing leaves the machine."""

from __future__ import annotations

import shutil
import time

import pages
import papermill
import pytest

from gadlib.cli import notebooks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(pages.CHROMIUM is None, reason="chromium is not installed"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

FIRST_POINT_S = 1.0
STOP_S = 2.0
SLOW = {"calculator": "ase", "ase_calculator": "slow_calculator:Slow"}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as found:
        yield found


@pytest.fixture
def visit(browser):
    made = pages.Visit(browser)
    yield made
    made.close()


@pytest.fixture
def notebook(tmp_path):
    """06_explore in a folder of its own, as it is."""
    copied = tmp_path / "06_explore.ipynb"
    shutil.copy(notebooks.notebook("06_explore"), copied)
    return copied


def open_in_lab(visit, address):
    visit.page.goto(address)
    visit.page.wait_for_function(
        "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
        " && document.querySelector('.jp-CodeCell')"
    )
    visit.page.evaluate(
        """async () => {
            const panel = window.jupyterapp.shell.currentWidget;
            await panel.revealed;
            await panel.sessionContext.ready;
            await panel.sessionContext.session.kernel.info;
            void window.jupyterapp.commands.execute('notebook:run-all-cells');
        }"""
    )
    wait_until_ready(visit)


def wait_until_ready(visit):
    visit.page.wait_for_selector("canvas.gadlib-molecule", state="attached")
    visit.page.wait_for_selector("text=Ready.")


def button(visit, text):
    return visit.page.locator(f".widget-button:has-text('{text}')").first


def readout(visit, name):
    row = visit.page.locator(f".widget-inline-hbox:has(label:has-text('{name}'))").first
    return row.locator(".widget-readout").inner_text()


def choose(visit, label, option):
    row = visit.page.locator(f".widget-dropdown:has(label:text-is('{label}'))").first
    row.locator("select").select_option(label=option)


def image_source(visit):
    return visit.page.locator("img.widget-image").first.get_attribute("src")


def drive(visit):
    """What a reader does: move a slider with the keyboard, run, watch; the seconds to the curves.

    The least of three runs: other tests keep the processors busy meanwhile.
    """
    page = visit.page
    handle = page.locator(".widget-inline-hbox:has(label:has-text('radius_start')) .noUi-handle")
    before = readout(visit, "radius_start")
    handle.first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => [...document.querySelectorAll('.widget-inline-hbox')].find(row =>"
        " row.innerText.includes('radius_start')).querySelector('.widget-readout').innerText"
        " !== before",
        arg=before,
    )
    assert float(readout(visit, "radius_start")) > float(before)
    choose(visit, "reaction", "rxn0007 C7H8, 15 atoms")
    waited_s = []
    for _ in range(3):
        before = image_source(visit)
        started = time.perf_counter()
        button(visit, "Run").click()
        page.wait_for_function(
            "src => document.querySelector('img.widget-image').src !== src", arg=before
        )
        waited_s.append(time.perf_counter() - started)
        page.wait_for_selector("canvas.gadlib-molecule[data-atoms='15']")
        page.wait_for_function(
            r"() => /Run \d+\.\s+The criterion is met/.test(document.body.innerText)"
        )
    return min(waited_s)


def stop(visit):
    """The seconds from pressing Stop until the page says that the search was stopped."""
    started = time.perf_counter()
    button(visit, "Stop").click()
    visit.page.wait_for_selector("text=Stopped after")
    return time.perf_counter() - started


def test_in_jupyterlab(visit, notebook):
    with pages.lab(notebook) as address:
        open_in_lab(visit, address)
        assert drive(visit) < FIRST_POINT_S
        choose(visit, "calculator", "scine PM6")
        choose(visit, "solver", "gad")
        choose(visit, "criterion", "strict")
        button(visit, "Run").click()
        visit.page.wait_for_selector("text=Running:")
        assert stop(visit) < STOP_S
        visit.page.screenshot(path=notebook.parent / "lab.png", full_page=True)
    assert visit.other_hosts == set()
    assert visit.complaints == []


def test_under_voila_also_when_a_calculator_call_takes_a_minute(visit, notebook):
    source = notebooks.notebook("06_explore")
    papermill.execute_notebook(source, notebook, SLOW, prepare_only=True, progress_bar=False)
    with pages.voila(notebook) as address:
        visit.page.goto(address)
        wait_until_ready(visit)
        button(visit, "Run").click()
        visit.page.wait_for_timeout(1500)
        assert stop(visit) < STOP_S
        choose(visit, "calculator", "scine DFTB0")
        assert drive(visit) < FIRST_POINT_S
        visit.page.screenshot(path=notebook.parent / "voila.png", full_page=True)
    assert visit.other_hosts == set()
    assert visit.complaints == []
