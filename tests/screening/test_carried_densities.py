"""Densities that are kept beside the answers: a search that begins anew stays on its solution."""

from __future__ import annotations

import pickle
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from gadlib.files import calls as files
from gadlib.files.calls import Calls
from gadlib.screening.remembered import NEAR, Remembered
from gadlib.systems.batch import Batch

pytest.importorskip("pyscf")

from gadlib.calculators.pyscf import NEAR_A, Pyscf

STRETCHED = np.array([[0, 0, 0], [0, 0, 1.8]])


def nitrogen(positions=STRETCHED, **electrons) -> Batch:
    return Batch.pack([positions], [np.array([7, 7])], **electrons)


@pytest.fixture
def calls(tmp_path) -> Calls:
    return Calls.at(tmp_path / "calls.db")


def kept(calls: Calls) -> Remembered:
    return Remembered(Pyscf("HF/STO-3G"), calls, "a")


def energy_of(calculator, batch: Batch) -> float:
    return float(calculator(batch, hessian=False).energy)


@pytest.fixture
def high() -> float:
    """The energy near by of the solution that PySCF's first guess leads to, 3 eV too high."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gadlib.calculators.pyscf_scf.can_rotate", lambda _: False)
        return energy_of(Pyscf("HF/STO-3G"), nitrogen(STRETCHED * 1.02))


def test_a_search_that_begins_anew_goes_on_with_its_solution(calls, high):
    """The stable one is 3 eV lower; which of them the search was on is not to change in between."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gadlib.calculators.pyscf_scf.can_rotate", lambda _: False)
        energy_of(kept(calls), nitrogen())
    near = nitrogen(STRETCHED * 1.02)
    assert energy_of(Pyscf("HF/STO-3G"), near) < high - 1
    again = pickle.loads(pickle.dumps(kept(calls)))
    again(nitrogen(), hessian=False)  # repeated from the file
    assert energy_of(again, near) == pytest.approx(high, abs=1e-6)
    twice = pickle.loads(pickle.dumps(again))
    assert energy_of(twice, nitrogen(STRETCHED * 1.03)) > high - 1
    assert NEAR == NEAR_A


def test_one_density_is_kept_of_each_search_and_none_is_too_large(calls, monkeypatch):
    values = np.arange(4.0)
    for step in range(5):
        calls.carry("m", STRETCHED + 0.1 * step, values + step, near=0.3)
    calls.carry("m", STRETCHED + 9, values, near=0.3)
    calls.carry("other", STRETCHED, values, near=0.3)
    assert [float(at[0, 0]) for at, _ in calls.carried("m")] == [0.4, 9.0]
    assert calls.carried("m")[0][1].tolist() == (values + 4).tolist()
    monkeypatch.setattr(files, "_LARGEST", 16)
    calls.carry("large", STRETCHED, values, near=0.3)
    assert calls.carried("large") == calls.carried("m") == []
    monkeypatch.setattr(files, "_LARGEST", 64)
    monkeypatch.setattr(files, "_MOST", 2)
    for step in range(4):
        calls.carry("m", STRETCHED + step, values, near=0.3)
    assert [float(at[0, 0]) for at, _ in calls.carried("m")] == [2.0, 3.0]


@pytest.mark.parametrize("density", [np.zeros(3), np.full(100, np.nan), np.zeros(0)])
def test_a_density_of_another_form_is_left(density):
    calculator = Pyscf("HF/STO-3G")
    calculator.carry(nitrogen(), 0, STRETCHED, density)
    calculator.carry(nitrogen(), 0, STRETCHED[:1], np.zeros(100))
    assert not calculator._points
    calculator.carry(nitrogen(), 0, STRETCHED, np.zeros(100))
    assert [point.density.shape for point in calculator._points.values()] == [(10, 10)]


def test_a_file_whose_densities_can_not_be_read_is_gone_on_without(calls: Calls, capsys):
    with sqlite3.connect(Path(calls.path)) as connection:
        connection.execute("DROP TABLE carried")
    assert np.isfinite(energy_of(kept(calls), nitrogen()))
    assert "no such table: carried" in capsys.readouterr().err
