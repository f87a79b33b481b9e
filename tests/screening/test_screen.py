from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from faulty import Springs
from little_reactions import write_h5, write_xyz
from little_searches import SPRINGS, STARTS, record_of, start_of

from gadlib.molecules import starting_points
from gadlib.screening import processes, screen
from gadlib.screening.setup import starts_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.solver.state import Status

TIMES = ("elapsed_s", "calculator_s")
PROMISED = """
    name formula status message criteria imaginary_cm1 n_fragments steps escapes order fmax
    energy eigenvalues n_energy n_gradient n_hessian elapsed_s positions
"""


@pytest.fixture
def settings(tmp_path):
    return SearchSettings(
        h5_path=str(write_h5(tmp_path / "little.h5")),
        split="all",
        start_from="midpoint_rt_noise0.3A",
        n_steps_per_sample=15,
        workers=0,
    )


def timeless(records):
    return [{k: v for k, v in asdict(r).items() if k not in TIMES} for r in records]


def test_parallel_and_serial_give_the_same_records(settings):
    pytest.importorskip("scine_sparrow")
    serial = screen.screen(settings)
    parallel = screen.screen(settings.model_copy(update={"workers": 2, "batch_size": 2}))
    assert len(serial) == 6
    assert {r.status for r in serial} == {"order_one", "out_of_steps"}
    for one, other in zip(timeless(serial), timeless(parallel), strict=True):
        for name in ("positions", "forces", "mode"):
            assert one.pop(name) == pytest.approx(np.array(other.pop(name)), abs=1e-6)
        for name in ("energy", "fmax", "imaginary_cm1", "eigenvalues"):
            assert one.pop(name) == pytest.approx(other.pop(name), rel=1e-6, abs=1e-8)
        assert one == other


def test_records_come_in_the_order_of_the_starts_whatever_their_size(settings):
    pytest.importorskip("scine_sparrow")
    found = screen.screen(settings.model_copy(update={"n_steps_per_sample": 1, "batch_size": 1}))
    assert [r.name for r in found] == [s.name for s in starts_of(settings)]


def test_result_file_has_settings_and_records_with_all_promised_fields(settings, tmp_path):
    pytest.importorskip("scine_sparrow")
    screen.screen(settings, out=tmp_path / "search.json")
    content = json.loads((tmp_path / "search.json").read_text())
    assert {"settings", "records"} <= set(content)
    assert content["settings"]["noise_seed"] == 42
    for record in content["records"]:
        assert set(PROMISED.split()) <= set(record)
        assert list(record["criteria"]) == ["index1", "strict", "bound", "intended"]
        assert len(record["eigenvalues"]) == 2
        assert len(record["positions"]) == len(record["atomic_numbers"])
        assert record["n_hessian"] == record["steps"] + 1


def test_converged_record_says_what_it_converged_to(settings):
    pytest.importorskip("scine_sparrow")
    found = [r for r in screen.screen(settings) if r.converged]
    assert found
    for record in found:
        assert record.status == ("saddle" if record.fmax < 0.01 else "order_one")
        assert "saddle" not in record.message
        assert record.index1
        assert record.order == 1
        assert record.eigenvalues[0] < 0 < record.eigenvalues[1]
        expected = 521.4709 * (-record.eigenvalues[0]) ** 0.5
        assert record.imaginary_cm1 == pytest.approx(expected, rel=1e-8)


def test_start_with_atoms_on_each_other_is_a_record_and_never_computed(tmp_path):
    flat = start_of("NH3", positions=np.zeros((4, 3)))
    diary = tmp_path / "diary"
    found = screen.screen(
        SPRINGS, starts=[STARTS[0], flat, STARTS[1]], calculator=Springs(diary=diary)
    )
    assert [r.status for r in found] == ["out_of_steps", "bad_start", "out_of_steps"]
    assert "atoms N0 and H1 of NH3 are 0.000 A apart" in found[1].message
    assert found[1].message.startswith(Status.BAD_START.sentence)
    assert "4" not in diary.read_text().split()


def test_broken_off_screening_computes_only_what_is_missing(tmp_path):
    out, diary = tmp_path / "s.json", tmp_path / "diary"
    screen.screen(SPRINGS, starts=STARTS[:2], calculator=Springs(), out=out)
    on = SPRINGS.model_copy(update={"resume": True})
    found = screen.screen(on, starts=STARTS, calculator=Springs(diary=diary), out=out)
    assert [r.name for r in found] == ["HCN", "H2O", "H2CO", "CO2"]
    assert sorted(diary.read_text().split()) == ["3"] * 3 + ["4"] * 3  # CO2, H2CO: 3 points each
    assert len(json.loads(out.read_text())["records"]) == 4


def test_existing_result_is_not_touched_without_resume(tmp_path):
    out = tmp_path / "s.json"
    screen.screen(SPRINGS, starts=STARTS[:2], calculator=Springs(), out=out)
    before = out.read_text()
    with pytest.raises(InputError, match=f"^{out} exists; resume it .--resume."):
        screen.screen(SPRINGS, starts=STARTS, calculator=Springs(), out=out)
    assert out.read_text() == before


def test_resuming_with_other_settings_is_refused_with_the_difference(tmp_path):
    out = tmp_path / "s.json"
    screen.screen(SPRINGS, starts=STARTS[:2], calculator=Springs(), out=out)
    other = SPRINGS.model_copy(update={"resume": True, "criterion": "strict"})
    with pytest.raises(InputError, match="made with other settings: criterion was 'index1', now"):
        screen.screen(other, starts=STARTS, calculator=Springs(), out=out)


@pytest.mark.parametrize(
    "starts", [STARTS[:1], [STARTS[0], start_of("H2O", formula="D2O")], STARTS[2:]]
)
def test_resuming_with_fewer_or_other_starts_loses_no_record(tmp_path, starts):
    out = tmp_path / "s.json"
    screen.screen(SPRINGS, starts=STARTS[:2], calculator=Springs(), out=out)
    before = out.read_text()
    on = SPRINGS.model_copy(update={"resume": True})
    with pytest.raises(InputError, match=r"records of other starts than these .*, such as"):
        screen.screen(on, starts=starts, calculator=Springs(), out=out)
    assert out.read_text() == before


def test_starts_of_one_name_keep_a_record_each_when_resumed(tmp_path):
    out = tmp_path / "s.json"
    twins = [STARTS[0], STARTS[0]]
    screen.screen(SPRINGS, starts=twins, calculator=Springs(), out=out)
    on = SPRINGS.model_copy(update={"resume": True})
    assert len(screen.screen(on, starts=twins, calculator=Springs("raises"), out=out)) == 2


def test_folder_as_result_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a folder; expected the name of a result file"):
        screen.screen(SPRINGS, starts=STARTS, calculator=Springs(), out=tmp_path)


def test_geometry_file_is_searched_in_the_order_of_its_frames(tmp_path):
    pytest.importorskip("scine_sparrow")
    starts = starting_points.read_geometries(
        write_xyz(tmp_path / "a.extxyz", ("H2O", "H2CO", "HCN"))
    )
    found = screen.screen(SPRINGS, starts=starts)
    assert [r.name for r in found] == ["start of H2O", "start of H2CO", "start of HCN"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"solver": "newton"}, "solver 'newton': expected one of gad"),
        ({"hyperparameters": {"dt_mn": 1e-6}}, r"dt_mn: unknown .* \(did you mean dt_min\?\)"),
        ({"hyperparameters": {"dt_min": 1.0}}, "dt_min = 1: expected 1e-09 .. 0.1 A\\^2/eV"),
        ({"criterion": "best"}, "criterion 'best': expected one of index1, strict, bound"),
        ({"calculator": "vasp"}, "calculator 'vasp': expected one of scine"),
        ({"scine_functional": "B3LYP"}, "scine functional 'B3LYP': expected one of DFTB0"),
    ],
)
def test_unknown_choice_is_refused_with_the_known_ones(settings, changes, told):
    pytest.importorskip("scine_sparrow")
    with pytest.raises(InputError, match=f"^{told}"):
        screen.screen(settings.model_copy(update=changes))


def test_element_that_the_method_lacks_costs_one_record_and_is_refused_alone():
    pytest.importorskip("scine_sparrow")
    xenon = start_of("H2O", name="noble", atomic_numbers=np.array([54, 1, 1]))
    found = screen.screen(SPRINGS, starts=[STARTS[0], xenon])
    assert [r.status for r in found] == ["out_of_steps", "bad_start"]
    assert "the calculator does not know element Xe" in found[1].message
    assert found[1].atomic_numbers == [54, 1, 1]
    with pytest.raises(
        InputError, match=r"no start can be searched: noble: .* element Xe .*noble: "
    ):
        screen.screen(SPRINGS, starts=[xenon, xenon])


def test_difficulty_is_the_steps_or_a_thousand():
    assert screen.difficulty(record_of(17)) == 17
    assert screen.difficulty(record_of(200, converged=False)) == 1000


@pytest.mark.parametrize(
    ("n", "threshold", "n_samples", "kept"),
    [(10, 0.5, 1, 5), (10, 0.5, 4, 8), (10, 1.0, 1, 10), (9, 0.5, 1, 4), (3, 0.5, 15, 3)],
)
def test_hardest_fraction_is_kept_but_at_least_twice_the_samples(n, threshold, n_samples, kept):
    records = [record_of(steps) for steps in range(n)]
    found = screen.select_difficult(
        records, ScreenSettings(difficulty_threshold=threshold), n_samples
    )
    assert [r.steps for r in found] == list(range(n - 1, n - 1 - kept, -1))


def test_sample_is_told_and_resumed_with_more_but_not_with_another_seed(tmp_path, capsys):
    out = tmp_path / "s.json"
    path = write_h5(tmp_path / "little.h5")
    settings = SPRINGS.model_copy(
        update={"h5_path": str(path), "split": "all", "max_samples": 3, "sample_seed": 1}
    )
    found = screen.screen(settings, calculator=Springs(), out=out)
    assert "3 of 6 reactions (split all), drawn with sample_seed 1" in capsys.readouterr().out
    assert [r.name for r in found] == [s.name for s in starts_of(settings)]
    assert json.loads(out.read_text())["settings"]["sample_seed"] == 1
    for other in ({"sample_seed": 2}, {"sample": "first"}):
        changed = settings.model_copy(update=other | {"resume": True})
        with pytest.raises(InputError, match="expected the same split, sample and sample_seed"):
            screen.screen(changed, calculator=Springs(), out=out)
    diary = tmp_path / "diary"
    more = settings.model_copy(update={"max_samples": 5, "resume": True})
    assert len(screen.screen(more, calculator=Springs(diary=diary), out=out)) == 5
    whole = settings.model_copy(update={"max_samples": 6, "sample": "first", "resume": True})
    capsys.readouterr()
    assert len(screen.screen(whole, calculator=Springs(), out=out)) == 6
    assert "sample_seed" not in capsys.readouterr().out


def test_no_more_processes_are_started_than_there_is_work_for(monkeypatch):
    begun, submitted = [], processes.submit

    def counted(*given):
        begun.append(given)
        return submitted(*given)

    monkeypatch.setattr(processes, "submit", counted)
    settings = SPRINGS.model_copy(update={"workers": 8})
    (record,) = screen.screen(settings, starts=STARTS[:1], calculator=Springs())
    assert record.status == Status.OUT_OF_STEPS
    assert len(begun) == 1


@pytest.mark.parametrize(("n", "told"), [(1, "no vibrations"), (2, "1 vibration")])
def test_molecule_that_has_no_saddle_is_a_record_before_anything_is_computed(n, told, tmp_path):
    diary = tmp_path / "diary"
    numbers, positions = np.ones(n, dtype=np.int64), np.arange(3.0 * n).reshape(-1, 3)
    small = start_of("H2O", name="small", atomic_numbers=numbers, positions=positions)
    found = screen.screen(SPRINGS, starts=[small, STARTS[1]], calculator=Springs(diary=diary))
    assert [r.status for r in found] == ["bad_start", "out_of_steps"]
    assert f"small has {told}; expected two" in found[0].message
    assert set(diary.read_text().split()) == {"3"}
    assert [r.name for r in screen.select_difficult(found, ScreenSettings())] == [found[1].name]
