"""Chains are real molecules, their searches end at saddles, and the exponents are those of them."""

import math

import numpy as np
import pytest
from ase import Atoms

from gadlib import report
from gadlib.benchmarks.scaling import GrowthRow, build_alkane, exponent, measure_growth, shake_chain
from gadlib.cli.parser import main
from gadlib.molecules.bonds import bonds, n_fragments
from gadlib.settings.benchmarks import GrowthSettings
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch


@pytest.mark.parametrize("n_carbons", [2, 3, 4, 9, 16])
def test_chains_are_alkanes(n_carbons):
    numbers, positions = build_alkane(n_carbons)
    batch = Batch.pack([positions], [numbers])
    assert sorted(numbers.tolist()) == [1] * (2 * n_carbons + 2) + [6] * n_carbons
    assert n_fragments(batch).tolist() == [1]
    valence = bonds(batch)[0].sum(-1).tolist()
    assert valence == [4] * n_carbons + [1] * (2 * n_carbons + 2)


def test_only_the_middle_bond_is_turned():
    found = Atoms(*build_alkane(6, math.radians(100)))
    angles = [found.get_dihedral(i, i + 1, i + 2, i + 3) for i in range(3)]
    assert np.allclose(angles, [180, 100, 180])
    assert found.get_angle(1, 2, 3) == pytest.approx(112)
    with pytest.raises(ValueError, match="n_carbons = 1: expected at least 2"):
        build_alkane(1)


def test_starts_differ_by_their_seeds_alone():
    first, second = shake_chain(4, 2, 0.1, 7)
    assert not np.allclose(first.positions, second.positions)
    assert np.array_equal(shake_chain(4, 1, 0.1, 8)[0].positions, second.positions)
    deviation = (first.positions - build_alkane(4)[1]).std()
    assert 0.07 < deviation < 0.13


def test_exponent_is_that_of_a_power_law():
    atoms = [8, 14, 26, 50]
    assert exponent(atoms, [0.3 * n**1.7 for n in atoms]) == pytest.approx(1.7)
    assert math.isnan(exponent([8, 8], [1.0, 2.0]))


def test_searches_on_chains_end_at_saddles(capsys):
    pytest.importorskip("scine_sparrow")
    settings = GrowthSettings(carbons="2,4", n_starts=2)
    found = list(measure_growth(settings))
    assert [(row.n_atoms, row.n, row.strict) for row in found] == [(8, 2, 2), (14, 2, 2)]
    assert all(0 < row.calculator_s < row.wall_s and row.gradients > row.steps for row in found)
    assert main(["growth", "--carbons", "2,4", "--n-starts", "2"]) == 0
    told = capsys.readouterr().out
    assert "2 of 2" in told and "Exponents of the number of atoms: all " in told


def test_long_floppy_chains_need_no_hessian_on_the_way():
    pytest.importorskip("scine_sparrow")
    (row,) = measure_growth(GrowthSettings(carbons="10", n_starts=2))
    assert row.n_atoms == 32
    assert row.strict == 2
    assert row.gradients is not None
    assert row.gradients < 6 * 32  # one Hessian alone costs as much


@pytest.mark.parametrize("carbons", ["many", "1,2", ""])
def test_wrong_chains_are_told(carbons):
    with pytest.raises(InputError, match=r"carbons = .*: expected numbers of at least 2"):
        list(measure_growth(GrowthSettings(carbons=carbons)))


def test_unknown_solver_is_told():
    with pytest.raises(InputError, match="newton"):
        list(measure_growth(GrowthSettings(solver="newton")))


def test_figure_has_a_line_for_each_part_and_a_sentence_without_any():
    made = [GrowthRow(n, 5, 5, 20, 40, 0.01 * n**2, 0.004 * n**2) for n in (8, 20, 50)]
    ax = report.draw_growth(made)
    labels = [line.get_label() for line in ax.get_lines()]
    assert labels == [f"{name}, ~ atoms$^{{2.0}}$" for name in ("all", "calculator", "solver")]
    assert "all 2.0, calculator 2.0, solver 2.0; gradients 0.0" in report.growth_sentence(made)
    empty = [GrowthRow(8, 5, 0, None, None, None, None)]
    assert "No chain" in report.draw_growth(empty).texts[0].get_text()
    assert report.growth_table(empty)["wall s"].tolist() == ["-"]
    assert "two sizes" in report.growth_sentence(empty)


def test_delta_is_measured_with_the_cheap_potential_that_is_named():
    pytest.importorskip("scine_sparrow")
    settings = {"carbons": "2", "n_starts": 1, "solver": "delta", "scine_functional": "PM6"}
    (row,) = measure_growth(GrowthSettings(**settings, cheap="scine:DFTB0"))
    assert (row.n, row.strict) == (1, 1)
    assert row.gradients < 10  # trust takes more
    with pytest.raises(InputError, match="cheap"):
        list(measure_growth(GrowthSettings(**settings, cheap="scine:NO")))
