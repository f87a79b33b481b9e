"""Recipes of starting points: each row, its noise, and what lists them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from little_reactions import geometries
from scipy.spatial.distance import pdist

from gadlib.__main__ import main
from gadlib.explore.tasks.choice import ANCHORS
from gadlib.molecules import interpolation, recipes, starting_points
from gadlib.molecules.alignment import aligned
from gadlib.molecules.interpolation import geodesic
from gadlib.molecules.reactions import Reaction
from gadlib.molecules.recipes import RECIPES, Recipe
from gadlib.settings.reading import InputError

# By seed and count: the first three of torch.randn(count) in float32, by torch 2 on its own. From
# 16 numbers on torch draws them in another order.
DRAWN = {
    (42, 9): (0.33669, 0.128809, 0.234462),
    (43, 9): (-0.648401, -0.705841, 0.643218),
    (44, 12): (0.058945, -1.394461, 0.844781),
    (43, 18): (-0.016604, -0.466795, -1.767226),
}


WEIGHTS = {
    "reactant": (1, 0, 0),
    "midpoint_rt": (0.5, 0.5, 0),
    "three_quarter_rt": (0.25, 0.75, 0),
    "ts": (0, 1, 0),
    "product": (0, 0, 1),
    "midpoint_rp": (0.5, 0, 0.5),
}


def reaction(name: str, **more) -> Reaction:
    numbers, parts = geometries(name)
    return Reaction(name, name, "test", numbers, *parts, **more)


@pytest.mark.parametrize(("recipe", "weights"), WEIGHTS.items())
def test_start_is_the_weighted_mean_of_the_parts(recipe, weights):
    (start,) = starting_points.starts([reaction("H2CO")], recipe)
    parts = geometries("H2CO")[1]
    if recipe == "midpoint_rp":  # the product is superposed on the reactant first
        parts = (*parts[:2], aligned(parts[2], parts[0]))
    expected = sum(w * p for w, p in zip(weights, parts, strict=True))
    np.testing.assert_allclose(start.positions, expected, atol=1e-14)
    assert start.noise_seed is None


def test_what_a_recipe_needs_is_what_it_is_made_of():
    parts = ("reactant", "transition state", "product")
    for name, weights in WEIGHTS.items():
        needs = [part for part, weight in zip(parts, weights, strict=True) if weight]
        assert RECIPES[name].needs == ", ".join(needs)


def test_the_middle_of_even_distances_has_no_end_nearer_than_the_other():
    own = reaction("H2CO")
    (start,) = starting_points.starts([own], "idpp_rp")
    here, *ends = (pdist(p) for p in (start.positions, own.reactant, own.product))
    apart = [np.linalg.norm(here - end) for end in ends]
    assert apart[0] == pytest.approx(apart[1], rel=0.5)
    assert max(apart) < np.linalg.norm(ends[0] - ends[1])


def test_sample_i_draws_its_noise_with_seed_plus_i():
    found = [reaction(name) for name in ("HCN", "H2O", "NH3")]
    for i, (start, one) in enumerate(
        zip(starting_points.starts(found, "ts_noise0.5A", 42), found, strict=True)
    ):
        drawn = (start.positions - one.transition_state)[0] / 0.5
        np.testing.assert_allclose(drawn, DRAWN[42 + i, start.positions.size], atol=2e-6)
        assert start.noise_seed == 42 + i


def test_noise_of_larger_molecules_is_drawn_as_torch_draws_it():
    found = [reaction("CH3OH")]
    (start,) = starting_points.starts(found, "reactant_noise1.0A", 43)
    np.testing.assert_allclose((start.positions - found[0].reactant)[0], DRAWN[43, 18], atol=2e-6)


@pytest.mark.parametrize(
    "recipe", ["middle", "ts_noise", "ts_noise-1A", "ts_noise1.0", "TS", "", "ts_noise1.0A "]
)
def test_unknown_start_is_refused_with_the_known_ones(recipe):
    with pytest.raises(InputError, match=r"^start '.*': expected one of reactant, midpoint_rt, "):
        recipes.parse_start(recipe)


def test_noise_that_leaves_nothing_of_the_molecule_is_refused():
    assert recipes.parse_start("ts_noise5.0A") == ("ts", 5.0)
    with pytest.raises(InputError, match=r"'ts_noise5.1A': expected noise of at most 5.0 A"):
        recipes.parse_start("ts_noise5.1A")


def test_a_portfolio_begins_where_its_recipes_do_and_draws_each_noise_anew():
    own = [reaction("H2CO"), reaction("HCN")]
    name = "idpp_rp+ts_noise0.5A+ts_noise0.5A+reactant_noise1.0A"
    for i, start in enumerate(starting_points.starts(own, name, 42)):
        assert (start.start, start.noise_seed) == (name, 42 + i)
        alone = [starting_points.starts(own, of, 42)[i] for of in name.split("+")]
        each = start.each
        assert [one.start for one in each] == name.split("+")
        assert [one.further for one in each] == [()] * 4
        for place in (0, 1):  # what has no noise, and the first that has
            np.testing.assert_array_equal(each[place].positions, alone[place].positions)
        noise = [(each[k].positions - own[i].transition_state) / 0.5 for k in (1, 2)]
        noise.append(each[3].positions - own[i].reactant)
        overlaps = [abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in combinations(noise, 2)]
        assert max(overlaps) < 0.9 and np.abs(noise).max() < 5
        for one in each:
            assert (one.max_fragments, one.charge, one.name) == (start.max_fragments, 0, start.name)
            assert one.ends is start.ends


def test_one_recipe_is_a_start_by_itself():
    (start,) = starting_points.starts([reaction("H2CO")], "ts_noise0.5A")
    assert start.each == (start,) and start.further == ()
    assert not recipes.is_portfolio("ts_noise0.5A") and recipes.is_portfolio("ts+reactant")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ts+reactant+ts", "ts is there twice, which without noise is the same point"),
        ("ts+ts_noise0.0A", "ts is there twice"),
        ("ts+middle", "start 'middle': expected one of reactant"),
        ("ts+", "start '': expected one of reactant"),
        ("ts+ts_noise6A", "expected noise of at most 5.0 A"),
    ],
)
def test_a_portfolio_of_what_is_no_recipe_or_one_point_twice_is_refused(name, reason):
    with pytest.raises(InputError, match=reason):
        starting_points.starts([reaction("H2CO")], name)


def test_a_row_is_all_that_a_new_recipe_takes(monkeypatch, capsys):
    def place(one, generator):
        return one.product + 0.1 * generator.initial_seed()

    monkeypatch.setitem(RECIPES, "beyond_p", Recipe("beyond the product", "product", place))
    found = [reaction("HCN"), reaction("H2O", place=7)]
    plain = starting_points.starts(found, "beyond_p", 42)
    shifted = [start.positions - one.product for start, one in zip(plain, found, strict=True)]
    assert [round(float(one.max()), 9) for one in shifted] == [4.2, 4.9]
    noisy = starting_points.starts(found, "beyond_p_noise0.5A", 42)
    assert [start.noise_seed for start in noisy] == [42, 49]
    assert 0.01 < np.abs(noisy[0].positions - plain[0].positions).max() < 2.5
    assert main(["starts"]) == 0
    assert "beyond_p          beyond the product (from product)\n" in capsys.readouterr().out
    assert "| `beyond_p` | beyond the product | product |" in recipes.markdown_table()


def test_every_recipe_is_listed_and_offered_on_the_page(capsys):
    assert main(["starts"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told[:-2]] == list(RECIPES) == list(ANCHORS)
    assert "at most 5 A" in told[-2]
    assert "several joined by +, as in idpp_rp+midpoint_rp_noise0.1A" in told[-1]


def test_no_recipe_is_asked_for_a_reaction_that_can_not_be_used():
    empty = np.zeros((0, 3))
    bad = Reaction("x", "x", "test", np.zeros(0, int), empty, empty, empty, problem="no atoms")
    (start, _) = starting_points.starts([bad, reaction("HCN")], "ts_noise0.1A")
    assert start.positions.shape == (0, 3)
    assert start.problem == "no atoms"


def test_the_geodesic_is_the_same_each_time_and_leaves_numpys_generator_alone():
    pytest.importorskip("geodesic_interpolate")
    known = reaction("H2CO")
    np.random.seed(5)  # noqa: NPY002 - the foreign package draws from it
    (first,) = starting_points.starts([known], "geodesic_rp")
    drawn = np.random.random(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    np.testing.assert_array_equal(np.random.random(3), drawn)  # noqa: NPY002
    (second,) = starting_points.starts([known], "geodesic_rp")
    np.testing.assert_array_equal(first.positions, second.positions)
    images = geodesic(known.atomic_numbers, known.reactant, known.product, 7)
    np.testing.assert_array_equal(images[3], first.positions)
    from_ends = [np.linalg.norm(pdist(image) - pdist(known.reactant)) for image in images]
    assert from_ends == sorted(from_ends)


def test_without_its_package_the_geodesic_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(interpolation, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="geodesic-interpolate is not installed; expected it, by"):
        starting_points.starts([reaction("H2CO")], "geodesic_rp")
    with pytest.raises(InputError, match="interpolation 'straight': expected one of idpp, geo"):
        interpolation.require_interpolation("straight")
