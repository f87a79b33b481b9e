"""06_explore in a real browser, in JupyterLab and under voila; nothing leaves the machine."""

from __future__ import annotations

import shlex
import shutil
import time
from operator import itemgetter

import pages
import papermill
import pytest

from gadlib.cli import notebooks
from gadlib.molecules import geometries

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(pages.CHROMIUM is None, reason="chromium is not installed"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

FIRST_POINT_S = 1.0
STOP_S = 2.0
SLOW = {"calculator": "ase", "ase_calculator": "slow_calculator:Slow"}
GUESS = "4\nname=ammonia\nN 0 0 0.05\nH 0.95 0 0\nH -0.47 0.82 0\nH -0.47 -0.82 0\n"


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
    visit.page.wait_for_selector("canvas.gadlib-molecule[data-atoms='7']")  # of the first reaction
    visit.page.wait_for_selector("text=Ready.")


def button(visit, text):
    return visit.page.locator(f".widget-button:has-text('{text}')").first


def readout(visit, name):
    row = visit.page.locator(f".widget-inline-hbox:has(label:has-text('{name}'))").first
    return row.locator(".widget-readout").inner_text()


def choose(visit, label, option):
    row = visit.page.locator(f".widget-dropdown:has(label:text-is('{label}'))").first
    row.locator("select").select_option(label=option)


def turn_to(visit, tab):
    visit.page.locator(f".lm-TabBar-tabLabel:text-is('{tab}')").click()


def image_source(visit):
    return visit.page.locator("img.widget-image").first.get_attribute("src")


def drive(visit):
    """What a reader does: move a slider with the keyboard, run, watch; the seconds to the curves.

    The least of three runs: other tests keep the processors busy meanwhile.
    """
    page = visit.page
    turn_to(visit, "Hyperparameters")
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
    turn_to(visit, "Search")
    choose(visit, "molecule", "rxn0007 C7H8, 15 atoms")
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


def upload(visit, path):
    """Send a file with the page's button, as a reader does, and look at its molecule."""
    with visit.page.expect_file_chooser() as asked:
        visit.page.locator(".widget-upload").click()
    asked.value.set_files(path)
    visit.page.wait_for_selector("canvas.gadlib-molecule[data-atoms='4']")


def places(canvas):
    return [tuple(map(float, p.split(","))) for p in canvas.get_attribute("data-places").split()]


def pick(visit, atom):
    """Click an atom; the mode is then to be of it."""
    canvas = visit.page.locator("canvas.gadlib-molecule").first
    x, y = places(canvas)[atom]
    canvas.click(position={"x": x, "y": y})
    field = visit.page.locator(".widget-text:has(label:text-is('of atoms')) input")
    playwright.expect(field).to_have_value(str(atom))


def vibrate(visit):
    """The atoms move while the button is down, and only then."""
    canvas = visit.page.locator("canvas.gadlib-molecule").first
    at_rest = places(canvas)
    visit.page.locator("button:has-text('Vibrate')").click()
    visit.page.wait_for_selector("canvas.gadlib-molecule[data-vibrating='true']")
    still = "p => document.querySelector('canvas.gadlib-molecule').dataset.places !== p"
    visit.page.wait_for_function(still, arg=canvas.get_attribute("data-places"))
    visit.page.locator("button:has-text('Vibrate')").click()
    visit.page.wait_for_selector("canvas.gadlib-molecule[data-vibrating='false']")
    assert places(canvas) == at_rest


def download(visit, text, folder):
    """The geometries of the file that a button gives."""
    with visit.page.expect_download() as given:
        button(visit, text).click()
    path = folder / given.value.suggested_filename
    given.value.save_as(path)
    return geometries.read(path)


def follow(visit):
    """Follow the saddle downhill, and go along the path with the keyboard to its first end."""
    page = visit.page
    button(visit, "Follow downhill").click()
    page.wait_for_selector(".gadlib-caption:has-text('the saddle, ')")
    profile = page.locator("img.gadlib-figure:visible")
    before = profile.get_attribute("src")
    page.locator(".widget-hslider:has(label:text-is('frame')) .noUi-handle").focus()
    page.keyboard.press("Home")
    page.wait_for_selector(".gadlib-caption:has-text('+0.00 eV from the first end')")
    page.wait_for_function("src => ![...document.images].some(i => i.src === src)", arg=before)


def require_sound_layout(visit):
    """The molecule stands beside the figure, which keeps its shape, at widths of real screens."""
    at = itemgetter("x")
    for width in (1366, 1600, 1920):
        visit.page.set_viewport_size({"width": width, "height": 900})
        figure = visit.page.locator("img.gadlib-figure:visible").first
        image, view = figure.bounding_box(), visit.page.locator(".gadlib-view").bounding_box()
        shape = figure.evaluate("i => i.naturalWidth / i.naturalHeight")
        assert image["width"] / image["height"] == pytest.approx(shape, rel=0.01), width
        right, left = max((image, view), key=at), min((image, view), key=at)
        assert left["x"] + left["width"] <= right["x"], width
        assert right["x"] + right["width"] <= width
        assert abs(view["y"] - image["y"]) < 100
    overflowing = "() => document.documentElement.scrollWidth > innerWidth"
    assert not visit.page.evaluate(overflowing)


def story(visit, folder):
    """From a reader's own file to the files of saddle and path."""
    (folder / "guess.xyz").write_text(GUESS)
    upload(visit, folder / "guess.xyz")
    pick(visit, 0)
    button(visit, "Run").click()
    visit.page.wait_for_selector("td:has-text('ammonia H3N')")
    playwright.expect(button(visit, "Run")).to_be_enabled()
    assert "index1, strict, bound" in visit.page.locator(".gadlib-table-box").last.inner_text()
    vibrate(visit)
    (saddle,) = download(visit, "Save xyz", folder)
    assert (saddle.name, saddle.problem) == ("ammonia", "")
    button(visit, "Copy as command").click()
    visit.page.wait_for_selector("text=On the clipboard: gadlib search guess.xyz")
    words = shlex.split(visit.page.evaluate("() => navigator.clipboard.readText()"))
    assert words[words.index("--mode") + 1] == "atoms:0"
    follow(visit)
    assert len(download(visit, "Save path as xyz", folder)) > 5
    require_sound_layout(visit)
    choose(visit, "from", "embedded set")
    button(visit, "Settings back").click()
    visit.page.wait_for_selector("text=The controls show the settings of run")
    chosen = ".widget-dropdown:has(label:text-is('from')) select"
    assert visit.page.locator(chosen).evaluate("s => s.selectedOptions[0].text") == "guess.xyz"


def test_in_jupyterlab(visit, notebook, tmp_path):
    with pages.lab(notebook) as address:
        open_in_lab(visit, address)
        assert drive(visit) < FIRST_POINT_S
        choose(visit, "calculator", "scine PM6")
        choose(visit, "solver", "gad")
        choose(visit, "criterion", "strict")
        button(visit, "Run").click()
        visit.page.wait_for_selector("text=Running:")
        assert stop(visit) < STOP_S
        choose(visit, "calculator", "scine DFTB0")
        choose(visit, "solver", "trust")
        story(visit, tmp_path)
    assert visit.other_hosts == set()
    assert visit.complaints == []


def test_under_voila_also_when_a_calculator_call_takes_a_minute(visit, notebook, tmp_path):
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
        story(visit, tmp_path)
    assert visit.other_hosts == set()
    assert visit.complaints == []
