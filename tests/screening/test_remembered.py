"""Answers of a calculator that are kept in a file: asked for once, whatever ends the program."""

from __future__ import annotations

import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from clusters import POTENTIAL, Recorded, alone, clusters, padded, spoiled

from gadlib.calculators import check, get
from gadlib.calculators.paired import Paired
from gadlib.evaluation import evaluate
from gadlib.files.calls import Calls
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import Start, starts
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.remembered import SAME, Remembered, build
from gadlib.settings.calculators import MoleculeSettings
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "calls.db"


def kept(calculator, file: Path, about: str = "a") -> Remembered:
    return Remembered(calculator, Calls.at(file), about)


def n_asked(recorded: Recorded) -> int:
    return sum(map(len, recorded.batches))


def test_what_was_asked_once_is_not_asked_again_in_any_company(file):
    batch = clusters(0)
    first = kept(POTENTIAL, file)(batch, hessian=True)
    source = Recorded(POTENTIAL)
    for again in (batch, padded(batch), alone(batch, 1)):
        found = kept(source, file)(again, hessian=True)
        n = again.positions.shape[1]
        width = min(n, batch.positions.shape[1])
        rows = slice(1, 2) if len(again) == 1 else slice(None)
        assert torch.equal(found.energy, first.energy[rows])
        assert torch.equal(found.forces[:, :width], first.forces[rows, :width])
        assert found.hessian is not None and first.hessian is not None
        d = 3 * width
        assert torch.equal(found.hessian[:, :d, :d], first.hessian[rows, :d, :d])
    assert n_asked(source) == 0


def test_a_hessian_is_asked_for_where_only_the_forces_are_kept_and_then_serves_both(file):
    batch = alone(clusters(0), 0)
    source = Recorded(POTENTIAL)
    calculator = kept(source, file)
    for hessian in (False, False, True, True, False):
        calculator(batch, hessian=hessian)
    assert source.hessians == [False, True]


def test_only_what_is_not_kept_is_asked_for(file):
    batch = clusters(0)
    source = Recorded(POTENTIAL)
    calculator = kept(source, file)
    calculator(alone(batch, 1), hessian=False)
    found = calculator(batch, hessian=False)
    assert [len(one) for one in source.batches] == [1, len(batch) - 1]
    torch.testing.assert_close(found.forces, POTENTIAL(batch, hessian=False).forces)


@pytest.mark.parametrize("what", ["place", "charge", "multiplicity", "potential"])
def test_another_question_is_asked(file, what):
    batch = alone(clusters(0), 0)
    kept(POTENTIAL, file)(batch, hessian=False)
    source = Recorded(POTENTIAL)
    one = torch.ones(1, dtype=torch.int64)
    other = {
        "place": batch.moved_to(batch.positions + 10 * SAME),
        "charge": Batch(batch.positions, batch.atomic_numbers, charges=one),
        "multiplicity": Batch(batch.positions, batch.atomic_numbers, multiplicities=3 * one),
        "potential": batch,
    }[what]
    kept(source, file, "b" if what == "potential" else "a")(other, hessian=False)
    assert n_asked(source) == 1


def test_a_place_that_differs_by_rounding_is_the_same(file):
    batch = clusters(0)
    kept(POTENTIAL, file)(batch, hessian=False)
    source = Recorded(POTENTIAL)
    kept(source, file)(batch.moved_to(batch.positions * (1 + 1e-15)), hessian=False)
    assert n_asked(source) == 0


@pytest.mark.parametrize("how", ["raises", "is nan"])
def test_failures_are_not_kept(file, how):
    batch = clusters(0)
    largest = batch.n_atoms.max()

    def is_bad(batch: Batch) -> torch.Tensor:
        return batch.n_atoms == largest

    found, _ = evaluate(kept(spoiled(POTENTIAL, is_bad, how=how), file), batch, hessian=False)
    bad = sorted(found.failures)
    assert bad == is_bad(batch).nonzero().flatten().tolist()
    source = Recorded(POTENTIAL)
    assert not kept(source, file)(batch, hessian=False).failures
    assert n_asked(source) == len(bad)


def test_what_it_says_of_itself_is_the_sources_and_it_may_go_to_another_process(file):
    source = get("surface", name="muller_brown")
    calculator = pickle.loads(pickle.dumps(kept(source, file)))
    assert calculator.name == source.name
    assert calculator.is_hessian_costly == source.is_hessian_costly
    assert not hasattr(calculator, "fresh")


def test_it_keeps_the_contract_of_calculators(file):
    pytest.importorskip("scine_sparrow")
    check(kept(get("scine"), file))


def test_many_may_write_at_a_time(file):
    batch = clusters(0)
    Calls.at(file)
    places = [batch.moved_to(batch.positions + 0.01 * k) for k in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: kept(POTENTIAL, file)(one, hessian=False), places))
    source = Recorded(POTENTIAL)
    for one in places:
        kept(source, file)(one, hessian=False)
    assert n_asked(source) == 0


@pytest.mark.parametrize("what", ["text", "another", "folder", "nowhere"])
def test_a_file_that_is_something_else_is_refused_and_left_alone(file, what):
    path = file if what != "nowhere" else file.parent / "no" / "calls.db"
    if what == "text":
        path.write_text("these are notes " * 100)
    elif what == "folder":
        path.mkdir()
    elif what == "another":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE studies (a)")
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(InputError, match=r"keep_calls .*expected a file of calls that gadlib made"):
        Calls.at(path)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_where_nothing_can_be_kept_the_search_goes_on_and_says_so(file, capsys):
    calculator = kept(POTENTIAL, file)
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE calls")
    batch = clusters(0)
    found = calculator(batch, hessian=False)
    assert torch.equal(found.energy, POTENTIAL(batch, hessian=False).energy)
    assert "no such table" in capsys.readouterr().err


@pytest.fixture(scope="module")
def guess() -> Start:
    return next(s for s in starts(read(split="all"), "ts_noise0.1A") if s.name == "rxn0095")


@pytest.mark.parametrize("solver", ["trust", "gad", "delta"])
def test_an_interrupted_search_that_begins_anew_pays_for_nothing_twice(file, guess, solver):
    """The same record as of a search that was never interrupted, for the calls that it lacked."""
    pytest.importorskip("scine_sparrow")

    def record(calculator, n_steps: int):
        if solver == "delta":
            calculator = Paired(calculator, get("scine"))
        job = Job(calculator, (guess,), SOLVERS[solver](), "strict", n_steps)
        return search_starts(job)[0]

    def potential() -> Recorded:
        return Recorded(get("scine", functional="PM6"))

    whole, first, second = potential(), potential(), potential()
    expected = record(whole, 30)
    record(kept(first, file), 5)
    found = record(kept(second, file), 30)
    assert found.positions == expected.positions
    assert found.n_gradient == expected.n_gradient
    assert 0 < n_asked(second) < n_asked(whole)
    assert n_asked(first) + n_asked(second) <= n_asked(whole) + 1  # the first one's end, judged


def test_settings_name_the_file_and_potentials_do_not_mix_in_it(file):
    pytest.importorskip("scine_sparrow")
    start = starts(read(split="test", max_samples=1), "ts")[0]
    batch = Batch.pack([start.positions], [start.atomic_numbers])
    found = []
    for functional in ("DFTB0", "PM6", "DFTB0"):
        settings = MoleculeSettings.read(
            {"keep_calls": str(file), "scine_functional": functional, "calculator": "scine"}
        )
        found.append(float(build(settings)(batch, hessian=False).energy[0]))
    assert found[0] == found[2] != found[1]
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (2,)
