"""Saddles of the embedded set are the right ones; what is none, or breaks, is told."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from ase.data import chemical_symbols
from clusters import spoiled

from gadlib import calculators, report
from gadlib.cli.parser import main
from gadlib.files.reading import read_json
from gadlib.files.writing import write_json
from gadlib.molecules import reactions, starting_points
from gadlib.molecules.endpoints import Connection
from gadlib.paths import intended
from gadlib.paths.records import read_paths
from gadlib.paths.references import OwnEnds
from gadlib.screening.records import Record, payload, read_records
from gadlib.settings.reading import InputError
from gadlib.settings.results import PathSettings
from gadlib.settings.searches import SearchSettings
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

N = 4


@pytest.fixture(autouse=True)
def drawn_nowhere():
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def known():
    return reactions.read(max_samples=N)


@pytest.fixture(scope="module")
def calculator():
    return calculators.get("scine", functional="DFTB0")


def saddles(known):
    return [
        replace(Record.blank(start, Status.SADDLE, ""), criteria={"strict": True})
        for start in starting_points.starts(known, "ts")
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the reference saddles of the first reactions were followed, from the command line."""
    where = tmp_path_factory.mktemp("irc")
    assert main(["irc", "--max-samples", str(N), "--out-dir", str(where)]) == 0
    return where


@pytest.fixture(scope="module")
def paths(folder):
    return read_paths(folder / "paths.json")


def test_reference_saddles_are_intended_with_their_barriers_and_frequencies(paths):
    assert [p.verdict for p in paths] == ["intended"] * N
    for path in paths:
        assert path.barrier == pytest.approx(path.reference_barrier, abs=0.01)
        assert path.reaction_energy == pytest.approx(path.reference_reaction_energy, abs=0.01)
        assert path.imaginary_cm1 == pytest.approx(path.reference_cm1, rel=0.01)
        assert path.saddle_rmsd < 0.02
        assert path.change
        assert path.change == path.reference_change


def test_profile_runs_from_one_end_over_the_saddle_to_the_other(paths):
    for path in paths:
        assert path.travelled[0] < 0 < path.travelled[-1]
        assert max(path.energies) == pytest.approx(0.0, abs=1e-6)
        assert path.energies[0] == pytest.approx(-path.barrier, abs=1e-5)
        assert path.energies[-1] == pytest.approx(path.reaction_energy - path.barrier, abs=1e-5)


def test_ends_and_saddle_have_their_thermochemistry_and_barriers_both_ways(paths):
    for path in paths:
        start, saddle, end = path.thermochemistry
        assert [gas.n_imaginary for gas in path.thermochemistry] == [0, 1, 0]
        assert -saddle.wavenumbers_cm1[0] == pytest.approx(path.imaginary_cm1)
        on, back = path.barriers
        assert on.energy == pytest.approx(path.barrier, abs=1e-6)
        assert back.energy == pytest.approx(path.barrier - path.reaction_energy, abs=1e-6)
        assert on.gibbs == pytest.approx(saddle.gibbs - start.gibbs)
        assert back.enthalpy == pytest.approx(saddle.enthalpy - end.enthalpy)
        assert on.tunnelling > 1
        assert f"ΔG‡ {on.gibbs:.3f}" in report.barrier_sentence(path)


def test_hessians_are_computed_at_the_saddle_and_the_minima_alone(paths):
    for path in paths:
        assert path.n_hessian == 3
        assert path.n_gradient + 6 * len(path.atomic_numbers) * path.n_hessian < 400


def test_results_are_kept_unless_resume_is_set(folder, paths):
    with pytest.raises(InputError, match="nothing is overwritten"):
        intended.follow(PathSettings(out_dir=str(folder), max_samples=N))
    again = intended.follow(PathSettings(out_dir=str(folder), max_samples=N, resume=True))
    assert [p.elapsed_s for p in again] == [p.elapsed_s for p in paths]


def test_saddle_of_another_reaction_is_not_intended(known, calculator):
    numbers = known[0].atomic_numbers
    mirrored = replace(known[0], product=known[0].reactant)
    (path,) = intended.follow_all(calculator, saddles(known[:1]), [mirrored])
    assert path.verdict in (Connection.HALF, Connection.NO_REACTION)
    elsewhere = replace(known[0], reactant=3.0 * known[0].reactant, product=5.0 * known[0].product)
    (path,) = intended.follow_all(calculator, saddles(known[:1]), [elsewhere])
    assert path.verdict == Connection.UNINTENDED
    assert path.atomic_numbers == numbers.tolist()


def test_what_is_no_strict_saddle_is_left_out(known, calculator):
    assert (
        intended.follow_all(
            calculator, [replace(r, criteria={"strict": False}) for r in saddles(known)], known
        )
        == []
    )


def test_path_without_a_reference_is_kept_from_the_lower_end(known, calculator):
    (path,) = intended.follow_all(calculator, saddles(known[:1]), known[1:])
    assert path.verdict == Connection.NO_REFERENCE
    assert "no reaction is known to compare with" in path.message
    assert path.reaction_energy >= 0
    assert path.change
    assert path.reference_barrier is None


def test_path_has_the_atoms_at_each_of_its_points(paths, calculator):
    for path in paths:
        top = path.travelled.index(0.0)
        assert len(path.positions) == len(path.travelled) == len(path.energies)
        for place, expected in zip(
            (0, top, -1), (path.ends[0], path.saddle, path.ends[1]), strict=True
        ):
            assert np.allclose(path.positions[place], expected, atol=1e-5)
        n_points = len(path.positions)
        places = [*map(np.array, path.positions)]
        batch = Batch.pack(places, [path.atomic_numbers] * n_points)
        found = calculator(batch, hessian=False).energy - path.energy
        assert found.tolist() == pytest.approx(path.energies, abs=1e-4)


def test_broken_path_is_a_record(known, calculator):
    broken = spoiled(calculator, lambda batch: batch.mask.any(-1), how="raises")
    (path,) = intended.follow_all(broken, saddles(known[:1]), known)
    assert path.verdict == Connection.FAILED
    assert "cursed" in path.message


def test_minimum_called_a_saddle_fails_in_words(known, calculator):
    wrong = [
        replace(r, positions=k.reactant.tolist())
        for r, k in zip(saddles(known), known, strict=True)
    ]
    for path in intended.follow_all(calculator, wrong[:1], known):
        assert path.verdict == Connection.FAILED
        assert "no mode with a negative eigenvalue" in path.message
        assert path.n_gradient > 0 and path.n_hessian > 0


def xyz(numbers, positions) -> str:
    lines = [
        f"{chemical_symbols[z]} {x} {y} {w}"
        for z, (x, y, w) in zip(numbers, positions, strict=True)
    ]
    return "\n".join([str(len(lines)), "", *lines, ""])


def test_own_saddle_is_compared_with_files_whatever_their_order(tmp_path, known, calculator):
    reaction, backwards = known[0], slice(None, None, -1)
    numbers = reaction.atomic_numbers
    (tmp_path / "r.xyz").write_text(xyz(numbers, reaction.reactant))
    (tmp_path / "p.xyz").write_text(xyz(numbers[backwards], reaction.product[backwards]))
    own = OwnEnds.read(str(tmp_path / "r.xyz"), str(tmp_path / "p.xyz"))
    (path,) = intended.follow_all(calculator, saddles([reaction]), own)
    assert path.verdict == Connection.INTENDED
    assert path.reference_change == path.change
    assert path.reference_barrier is None
    (path,) = intended.follow_all(
        calculator, saddles([reaction]), OwnEnds.read(None, str(tmp_path / "p.xyz"))
    )
    assert path.verdict == Connection.INTENDED
    assert "the reactant is not known" in path.message


def test_files_of_other_atoms_are_refused_before_anything_is_computed(tmp_path, known):
    write_json(tmp_path / "search.json", payload(SearchSettings(), saddles(known[:1])))
    (tmp_path / "water.xyz").write_text(
        xyz([8, 1, 1], [[0, 0, 0], [0, 0.76, 0.59], [0, -0.76, 0.59]])
    )
    command = ["irc", str(tmp_path / "search.json"), "--out-dir", str(tmp_path / "out")]
    with pytest.raises(InputError, match=r"is H2O, the saddle .*: expected the same atoms"):
        intended.follow(
            PathSettings(
                records=command[1], out_dir=command[3], product=str(tmp_path / "water.xyz")
            )
        )
    assert not (tmp_path / "out").exists()


def test_result_file_of_searches_is_followed(tmp_path, known, capsys):
    records = [*saddles(known[:1]), replace(saddles(known)[1], criteria={"strict": False})]
    write_json(tmp_path / "search.json", payload(SearchSettings(), records))
    command = ["irc", str(tmp_path / "search.json"), "--out-dir", str(tmp_path / "out")]
    assert main(command) == 0
    assert "Of 1 saddles followed: 1 intended." in capsys.readouterr().out


def test_saddle_in_a_file_of_geometries_is_followed_between_the_ends_beside_it(
    tmp_path, known, capsys
):
    reaction = known[0]
    for name in ("reactant", "product", "transition_state"):
        geometry = xyz(reaction.atomic_numbers, getattr(reaction, name))
        (tmp_path / f"{name}.xyz").write_text(geometry)
    command = ["irc", str(tmp_path / "transition_state.xyz"), "--out-dir", str(tmp_path / "out")]
    ends = [f"--{end}={tmp_path / end}.xyz" for end in ("reactant", "product")]
    assert main([*command, *ends]) == 0
    assert "Of 1 saddles followed: 1 intended." in capsys.readouterr().out
    (path,) = read_paths(tmp_path / "out" / "paths.json")
    assert path.name == "transition_state-0"
    assert path.barrier > 0


@pytest.mark.parametrize("content", ["{}", "[]", '{"paths": [{"name": "x"}]}'])
def test_other_files_are_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "paths.json").write_text(content)
    with pytest.raises(InputError, match=r"paths\.json: "):
        read_paths(tmp_path / "paths.json")


def test_table_has_found_beside_reference(paths):
    table = report.paths_table(paths)
    assert table["verdict"].tolist() == ["intended"] * N
    assert table["ΔG‡ (eV)"][0] == f"{paths[0].barriers[0].gibbs:.2f}"
    assert table["barrier (eV)"][0] == f"{paths[0].barrier:.2f} [{paths[0].reference_barrier:.2f}]"


def test_figures_show_verdicts_and_profiles(paths):
    left, right = report.draw_verdicts(paths).axes
    assert [bar.get_width() for bar in left.patches] == [N, *[0] * (len(Connection) - 1)]
    assert len(right.collections[0].get_offsets()) == N
    drawn = report.draw_profile(paths[0]).lines[0].get_ydata()
    assert np.max(drawn) == pytest.approx(paths[0].barrier, abs=1e-5)
    assert len([ax for ax in report.draw_profiles_of(paths).axes if ax.lines]) == N


def test_nothing_followed_is_a_sentence():
    assert "no strict one" in report.verdict_sentence([])
    for figure in (report.draw_verdicts([]), report.draw_profiles_of([])):
        assert any("No saddle was followed" in t.get_text() for t in figure.findobj(plt.Text))


@pytest.mark.slow
def test_validate_follows_the_strict_saddles_of_both_sides(tmp_path, capsys):
    out = tmp_path / "out"
    command = ["validate", "--irc", "--split", "test", "--max-samples", "3", "--out-dir", str(out)]
    command += ["--solver", "trust", "--criterion", "bound", "--start-from", "ts_noise0.05A"]
    command += ["--n-steps", "40", "--radius-max", "0.12", "--workers", "0"]
    assert main(command) == 0
    told = capsys.readouterr().out
    for side in ("default", "tuned"):
        _, records = read_records(out / f"{side}.json")
        strict = [r.name for r in records if r.strict]
        followed = read_paths(out / f"irc_{side}" / "paths.json")
        assert strict
        assert [p.name for p in followed] == strict
        assert f"{side}: Of {len(strict)} saddles followed: " in told
        assert Connection.INTENDED in {p.verdict for p in followed}
        kept = read_json(out / f"irc_{side}" / "paths.json")["settings"]
        assert kept["cheap"] == "none"  # nobody asked for a way down on another potential
