"""Figures in files: by suffix, with text as text, whole or not at all, never over another."""

from __future__ import annotations

import re

import matplotlib
import matplotlib.pyplot as plt
import pytest
from little_studies import MIXED
from matplotlib.image import imread

from gadlib import report
from gadlib.settings.reading import InputError


@pytest.fixture(autouse=True)
def drawn_nowhere():
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.fixture
def drawn():
    return report.draw_steps(report.collect_steps(MIXED))


def test_letters_of_svg_are_text(drawn, tmp_path):
    told = report.save_figure(drawn, tmp_path / "steps.svg").read_text()
    assert "Steps of 4 searches" in re.findall(r"<text[^>]*>([^<]*)</text>", told)


def test_letters_of_pdf_are_truetype(drawn, tmp_path):
    told = report.save_figure(drawn, tmp_path / "steps.pdf").read_bytes()
    assert told.startswith(b"%PDF")
    assert b"/FontFile2" in told
    assert b"/Type3" not in told


def test_png_has_the_pixels_that_were_asked_for(drawn, tmp_path):
    widths = [
        imread(report.save_figure(drawn, tmp_path / f"{dpi}.png", dpi=dpi)).shape[1]
        for dpi in (100, 200)
    ]
    assert widths[1] == pytest.approx(2 * widths[0], abs=2)


@pytest.mark.parametrize("kind", ["pdf", "svg"])
def test_same_figure_gives_the_same_bytes(drawn, tmp_path, kind):
    one, two = (report.save_figure(drawn, tmp_path / f"{n}.{kind}") for n in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_a_file_that_is_there_is_replaced_only_when_told(drawn, tmp_path):
    path = tmp_path / "steps.svg"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"steps\.svg exists: replace it with overwrite=True"):
        report.save_figure(drawn, path)
    assert path.read_text() == "mine"
    assert report.save_figure(drawn, path, overwrite=True).read_text() != "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["steps.svg"]


@pytest.mark.parametrize("name", ["steps.gif", "steps"])
def test_other_suffixes_are_refused(drawn, tmp_path, name):
    with pytest.raises(InputError, match=r"expected a name that ends with \.pdf, \.svg, \.png"):
        report.save_figure(drawn, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_a_sentence(drawn, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        report.save_figure(drawn, tmp_path / "file" / "steps.svg")
