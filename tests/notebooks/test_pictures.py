"""Pictures show the hyperparameters and settings of today, and the search as it is today."""

from __future__ import annotations

import json

import pytest
import shown
from PIL import Image

from gadlib.cli import notebooks
from gadlib.screening.learned import map_learned
from gadlib.settings.searches import SearchSettings


@pytest.mark.parametrize("name", ["search", "06_explore"])
def test_picture_shows_what_is_declared(name):
    with Image.open(notebooks.NOTEBOOKS / "pictures" / f"{name}.png") as picture:
        told = json.loads(picture.text[shown.KEY])
    again = "make it again: python tests/notebooks/make_pictures.py runs/pictures explore"
    assert told["hyperparameters"] == shown.declared()["hyperparameters"], again
    # As the browser showed them; the last is the slider below the molecule.
    assert told["labels"] == [*shown.labels(), "frame"], again


def test_picture_of_delta_shows_the_calls_of_today():
    with Image.open(notebooks.NOTEBOOKS / "pictures" / "delta.png") as picture:
        told = json.loads(picture.text[shown.KEY])
    found = map_learned(SearchSettings.read(shown.PAIR), n=3)
    again = "make it again: python tests/notebooks/make_pictures.py runs/pictures delta"
    assert len(told["calls"]) == len(found.calls), again
    assert told["calls"] == [pytest.approx(place, abs=0.01) for place in found.calls], again
    assert told["cheap_saddle"] == pytest.approx(found.cheap_saddle, abs=0.01), again


def test_the_picture_of_calls_is_made_of_both_solvers(tmp_path, capsys):
    """As docs/delta.md shows it, of two reactions here."""
    pytest.importorskip("playwright")
    from make_pictures import counted

    counted(tmp_path, tmp_path / "calls.png", max_samples=2, workers=0)
    with Image.open(tmp_path / "calls.png") as picture:
        assert picture.width > 300 and len(picture.convert("L").getcolors()) > 2
    told = capsys.readouterr().out
    assert "trust" in told and "delta" in told
