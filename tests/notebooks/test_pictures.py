"""The README's pictures of the exploration page show the hyperparameters and settings of today."""

from __future__ import annotations

import json

import pytest
import shown
from PIL import Image

from gadlib.cli import notebooks


@pytest.mark.parametrize("name", ["search", "06_explore"])
def test_picture_shows_what_is_declared(name):
    with Image.open(notebooks.NOTEBOOKS / "pictures" / f"{name}.png") as picture:
        told = json.loads(picture.text[shown.KEY])
    again = "make it again: python tests/notebooks/make_pictures.py runs/pictures explore"
    assert told["hyperparameters"] == shown.declared()["hyperparameters"], again
    # As the browser showed them; the last is the slider below the molecule.
    assert told["labels"] == [*shown.labels(), "frame"], again
