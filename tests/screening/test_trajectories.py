"""The points of a search, and the search made again."""

from __future__ import annotations

import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ase.build import molecule
from clusters import POTENTIAL, clusters
from little_reactions import write_h5

import gadlib
from gadlib.molecules.formats.output import xyz
from gadlib.report import draw_trajectory
from gadlib.screening import screen
from gadlib.screening.trajectories import column, point_of, repeat_search, rises, trace
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ScreenSettings
from gadlib.solver.search import search


@pytest.fixture(scope="module")
def frames():
    return list(search(POTENTIAL, clusters(0), GadHyperparameters(), n_steps=5))


def test_points_have_the_numbers_of_the_frames(frames):
    rows = [(f, (f.state.index == 1).nonzero().flatten().tolist()) for f in frames]
    own = [(frame.state, rows[0]) for frame, rows in rows if rows]
    points = trace(frames)[1]
    assert [p.steps for p in points] == list(range(len(own)))
    assert [p.energy for p in points] == [float(s.energy[i]) for s, i in own]
    assert [p.max_force for p in points] == [float(s.max_force[i]) for s, i in own]
    assert [p.order for p in points] == [int(s.order[i]) for s, i in own]
    lowest = [[p.lowest, p.second] for p in points]
    assert lowest == [s.spectrum.eigenvalues[i, :2].tolist() for s, i in own]
    assert [p.reach for p in points] == [float(s.memory.time_step[i]) for s, i in own]
    assert points[-1].positions.tolist() == own[-1][0].batch.system(own[-1][1])[1].tolist()


def test_the_farthest_atom_of_a_climbed_mode_moves_by_one(frames):
    point = point_of(frames[0])
    assert np.linalg.norm(point.mode, axis=-1).max() == pytest.approx(1.0)


def test_each_system_of_a_batch_has_its_points(frames):
    assert sorted(trace(frames)) == [0, 1, 2]
    assert trace([]) == {}


def test_trust_tells_its_radius_and_its_tries():
    frames = list(search(POTENTIAL, clusters(0), TrustHyperparameters(), n_steps=2))
    points = trace(frames)[0]
    assert [p.n_tries for p in points] == [0] * len(points)
    assert points[0].reach == pytest.approx(float(frames[0].state.memory.radius[0]))


def test_point_that_could_not_be_computed_has_no_numbers_but_a_reason(frames):
    state = replace(frames[0].state, message=("no luck", "", ""))
    point = point_of(frames[0]._replace(state=state))
    assert all(math.isnan(v) for v in (point.energy, point.max_force, point.lowest, point.second))
    assert point.order is None
    assert point.sentence.endswith("no luck")
    assert np.isnan(column([point], "order")).all()


def test_rises_are_the_steps_at_which_a_counter_grew(frames):
    points = [
        p._replace(escapes=n) for p, n in zip(trace(frames)[1][:4], (0, 0, 1, 1), strict=True)
    ]
    assert rises(points, "escapes") == [2]
    assert rises(points, "n_tries") == []


def test_repeated_search_is_the_one_of_the_record(tmp_path):
    settings = ScreenSettings(
        h5_path=str(write_h5(tmp_path / "little.h5")), split="train", n_steps_per_sample=4,
        start_from="midpoint_rt_noise0.3A", workers=0,
    )  # fmt: skip
    wanted = screen.screen(settings)[1]
    found = repeat_search(wanted, settings)
    assert (found.name, found.solver) == (f"{wanted.name} ({wanted.formula})", "gad")
    last = found.points[-1]
    assert (last.steps, last.energy, last.order) == (wanted.steps, wanted.energy, wanted.order)
    assert str(last.status) == wanted.status
    with pytest.raises(InputError, match="stranger"):
        repeat_search(replace(wanted, name="stranger"), settings)


def test_search_of_an_own_geometry_is_repeated_without_its_file(tmp_path):
    """By DFTB0; the defaults are those of the search, and other settings those of the results."""
    pytest.importorskip("scine_sparrow")
    atoms = molecule("NH3")
    atoms.positions[1:, 2] *= 0.2
    (tmp_path / "mine.xyz").write_text(xyz([atoms]))
    (wanted,) = gadlib.search(tmp_path / "mine.xyz", workers=0)
    (tmp_path / "mine.xyz").unlink()
    gadlib.search(atoms, solver="gad", criterion="strict", workers=0, out=tmp_path / "gad.json")
    settings, (other,) = gadlib.read_records(tmp_path / "gad.json")
    for record, found in (
        (wanted, gadlib.repeat_search(wanted)),
        (other, gadlib.repeat_search(other, settings)),
        (other, gadlib.repeat_search(other, solver="gad", criterion="strict")),
    ):
        first, *_, last = found.points
        assert (last.steps, last.energy) == (record.steps, record.energy)
        assert first.energy == record.energy_start
        assert last.positions.tolist() == record.positions
        figure = draw_trajectory(found)
        assert figure.get_suptitle().startswith(record.name)
        plt.close(figure)


def test_record_that_does_not_say_where_its_search_began_is_told_of():
    (record,) = gadlib.search(molecule("H2O"), n_steps_per_sample=1, workers=0)
    with pytest.raises(InputError, match="did not keep where a search of atoms began"):
        repeat_search(replace(record, began_at=[]))
