"""The timing measures what it says, with made-up molecules that a potential can compute."""

import re

import pytest

from gadlib import calculators
from gadlib.benchmarks import step_times
from gadlib.cli.parser import main


def test_molecules_have_an_even_number_of_electrons_and_no_atoms_that_touch():
    for n_atoms in (8, 16, 23):
        batch = step_times.make_molecules(n_atoms, 5)
        assert batch.n_atoms.tolist() == [n_atoms] * 5
        assert not (batch.atomic_numbers.sum(-1) % 2).any()
        assert (batch.closest_pair > 0.9).all()
        assert (batch.positions[0] - batch.positions[1]).abs().amax() > 0.01


def test_a_row_tells_the_time_and_the_part_that_is_not_the_calculators():
    pytest.importorskip("scine_sparrow")
    row = step_times.measure(calculators.get("scine"), step_times.make_molecules(8, 2), n_steps=2)
    assert (row.n_atoms, row.batch) == (8, 2)
    assert row.ms > 0 and 0 < row.overhead < 1 and row.memory_gb > 0.01
    assert row.eigh_ms == row.eigh_cpu_ms > 0
    assert len(step_times.format_row(row)) == len(step_times.HEAD)


def test_command_prints_a_row_for_each_size_and_batch(capsys: pytest.CaptureFixture):
    pytest.importorskip("scine_sparrow")
    assert main(["timing", "--atoms", "4,5", "--batches", "1,2", "--n-steps", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [
        ["4", "1"],
        ["4", "2"],
        ["5", "1"],
        ["5", "2"],
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--atoms", "many"], "numbers with commas"),
        (["--calculator", "hip"], "HIP's source|needs torch_geometric"),
        (["--calculator", "surface", "--surface-name", "leps"], "can't be computed"),
    ],
)
def test_what_can_not_be_measured_is_told(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture, monkeypatch
):
    monkeypatch.delenv("HIP_SOURCE", raising=False)
    assert main(["timing", "--n-steps", "1", *arguments]) == 2
    assert re.search(reason, capsys.readouterr().err)
