"""One reaction or geometry alone, taken by its name."""

from __future__ import annotations

import pytest
from ase import Atoms

from gadlib.screening.search import search
from gadlib.screening.setup import reactions_of, starts_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings


def test_a_reaction_of_that_name_starts_where_it_does_among_all():
    everything = starts_of(SearchSettings(split="all", start_from="ts_noise0.1A"))
    (alone,) = starts_of(SearchSettings(split="all", start_from="ts_noise0.1A", only="rxn0007"))
    among = next(start for start in everything if start.name == "rxn0007")
    assert alone.noise_seed == among.noise_seed
    assert (alone.positions == among.positions).all()


def test_a_name_that_is_not_there_is_refused_with_one_that_is():
    told = r"only = 'rxn007': none of that name in .*; expected one such as 'rxn\d{4}'"
    with pytest.raises(InputError, match=told):
        reactions_of(SearchSettings(split="all", only="rxn007"))


def test_a_guess_of_that_name_is_searched_alone():
    water = Atoms("OHH", [(0, 0, 0), (0.96, 0, 0), (-0.3, 0.9, 0)], info={"name": "one"})
    other = water.copy()
    other.info["name"] = "two"
    records = search([water, other], only="two", n_steps_per_sample=1, workers=0)
    assert [record.name for record in records] == ["two"]
