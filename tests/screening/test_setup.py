from __future__ import annotations

import pytest
from little_reactions import write_h5

from gadlib.screening.setup import starts_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings


def test_split_without_a_reaction_is_refused_with_the_file(tmp_path):
    path = write_h5(tmp_path / "l.h5", {"train": {"H2O": ("rxn", "H2O")}})
    with pytest.raises(InputError, match=f"{path}: no reaction in split 'val'"):
        starts_of(SearchSettings(h5_path=str(path), split="val"))
