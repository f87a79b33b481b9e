"""The pictures of the README and of the pages, made anew; no test.

    python tests/notebooks/make_pictures.py [FOLDER [explore|delta]]

Those of the README are taken from notebooks that are run for it. Executed notebooks are kept in
FOLDER (runs/pictures) and not run again. Needs Sella and Chromium; takes some minutes. With
`explore` as the second word only the two of the exploration page are made, with `delta` those of
docs/delta.md.
"""

from __future__ import annotations

import io
import json
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # as pytest has it

import pages
import shown
from figures import figures
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import sync_playwright

from gadlib import report
from gadlib.benchmarks import solvers
from gadlib.cli import notebooks
from gadlib.screening.learned import map_learned
from gadlib.settings.benchmarks import BenchmarkSettings
from gadlib.settings.searches import SearchSettings

PICTURES = notebooks.NOTEBOOKS / "pictures"
WIDTH = 560
MAX_BYTES = 60_000
CALLS = {
    "solvers": "trust,delta",
    "starts": "ts",
    "criterion": "strict",
    "sample": "first",
    "split": "all",
    "max_samples": 24,
    "scine_functional": "PM6",
    "cheap": "scine:DFTB0",
    "n_steps_per_sample": 100,
    "workers": 1,
}
"""Of the first reactions in docs/measurements/delta.md, "Searches on a cheap potential"."""

FIGURES = {
    "00_tour": 1,
    "01_screen": 1,
    "02_tune": 0,
    "03_results": 9,
    "04_benchmark": 2,
    "05_validate": 2,
}
"""Which figure of each notebook, counted from 0."""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    PICTURES.mkdir(exist_ok=True)
    only = sys.argv[2:]
    if "explore" not in only:
        learned()
        counted(folder, PICTURES / "calls.png")
    if not only:
        make_site = runpy.run_path(str(PICTURES.parents[1] / "docs" / "make_site.py"))
        for name, executed in make_site["execute"](folder).items():
            image = figures(executed)[FIGURES[name]]
            save(Image.open(io.BytesIO(image)), PICTURES / f"{name}.png")
    if "delta" not in only:
        explored(folder)


def learned() -> None:
    """Draw what `delta` learns."""
    found = map_learned(SearchSettings.read(shown.PAIR), n=85)
    told = {"calls": found.calls.tolist(), "cheap_saddle": found.cheap_saddle.tolist()}
    save(_image(report.draw_learned(found)), PICTURES / "delta.png", 1100, told)


def counted(folder: Path, path: Path, **more: Any) -> None:
    """Draw the calls of `delta` beside those of `trust`; more settings go over `CALLS`."""
    where = {"out_dir": str(folder / "calls"), "resume": True}
    settings = BenchmarkSettings.read(CALLS | where | more)
    calls = report.collect_calls({}, solvers.compare(settings).records)
    print(report.calls_table(calls).to_string(index=False))
    drawn = report.draw_profiles(report.call_profiles(calls), unit="calls of the search")
    save(_image(drawn.figure), path)


def _image(figure: Any) -> Image.Image:
    """The figure as an image."""
    file = io.BytesIO()
    figure.savefig(file, dpi=120)
    return Image.open(file)


def explored(folder: Path) -> None:
    """Photograph the page of notebook 06 after a search, with and without all of it."""
    notebook = folder / "06_explore.ipynb"
    shutil.copy(notebooks.notebook("06_explore"), notebook)
    with sync_playwright() as playwright, pages.voila(notebook) as address:
        visit = pages.Visit(playwright)
        page = visit.page
        page.goto(address)
        page.wait_for_selector("text=Ready.")
        reaction = page.locator(".widget-dropdown:has(label:text-is('molecule')) select")
        reaction.select_option(label="rxn0007 C7H8, 15 atoms")
        page.locator(".widget-button:has-text('Run')").first.click()
        page.wait_for_function(r"() => /The criterion is met/.test(document.body.innerText)")
        page.wait_for_timeout(1500)  # the last curves and the last frame
        canvas = page.locator("canvas.gadlib-molecule").first
        box = canvas.bounding_box()
        assert box is not None
        bar = page.locator(".gadlib-bar").first.bounding_box()
        ends = page.locator(".gadlib-ends").bounding_box()
        assert bar is not None and ends is not None
        bottom = ends["y"] + ends["height"] + 4
        clip = {"x": 6, "y": bar["y"] - 6, "width": 1428, "height": bottom - bar["y"] + 6}
        labels = page.locator(".widget-label:visible").all_inner_texts()
        told = shown.declared() | {"labels": [label for label in labels if label]}
        whole = Image.open(io.BytesIO(page.screenshot(clip=clip)))
        save(whole, PICTURES / "search.png", 1100, told)
        save(Image.open(io.BytesIO(canvas.screenshot())), PICTURES / "06_explore.png", told=told)
        visit.close()


def save(image: Image.Image, path: Path, width: int = WIDTH, told: dict | None = None) -> None:
    """Write the image no wider than that, in as many colours as fit.

    What is told of it, as which hyperparameters it shows, is kept in it.
    """
    more = PngInfo()
    if told is not None:
        more.add_text(shown.KEY, json.dumps(told))
    image = image.convert("RGB")
    if image.width > width:
        height = round(image.height * width / image.width)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    # An octree keeps rare colours, as those of thin lines; a median cut would not.
    octree, plain = Image.Quantize.FASTOCTREE, Image.Dither.NONE
    for n_colours in (None, 256, 128, 64):
        made = image.quantize(n_colours, octree, dither=plain) if n_colours else image
        made.save(path, optimize=True, pnginfo=more)
        if path.stat().st_size <= MAX_BYTES:
            return
    raise ValueError(f"{path}: larger than {MAX_BYTES} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/pictures"))
