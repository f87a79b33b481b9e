"""What `import gadlib` offers."""

import inspect
import json
import subprocess
import sys
import textwrap

import ase.io
import pytest
from little_reactions import write_xyz

import gadlib

STARTED = """
import json, sys, time
began = time.perf_counter()
import gadlib
seconds = time.perf_counter() - began
print(json.dumps([seconds, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_import_takes_less_than_50_ms_and_brings_neither_torch_nor_numpy():
    ended = subprocess.run(
        [sys.executable, "-c", STARTED], capture_output=True, text=True, check=True, timeout=60
    )
    seconds, modules = json.loads(ended.stdout)
    assert seconds < 0.05
    assert not {"torch", "numpy", "pydantic", "ase", "optuna"} & set(modules)


def test_every_name_of_the_stub_is_offered_and_explains_itself():
    assert {"search", "screen", "tune", "validate", "follow", "compare"} <= set(gadlib.__all__)
    assert dir(gadlib) == gadlib.__all__
    for name in gadlib.__all__:
        offered = getattr(gadlib, name)
        assert offered.__name__.rpartition(".")[2] == name
        assert inspect.getdoc(offered)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="find_minimum"):
        gadlib.find_minimum  # noqa: B018


def test_example_of_the_docstring_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("scine_sparrow")
    monkeypatch.chdir(tmp_path)
    write_xyz(tmp_path / "guesses.xyz")
    example = textwrap.dedent(gadlib.__doc__.split("\n\n", 1)[1].partition("\n\n`search`")[0])
    exec(example, {})
    assert [line.split(" ", 3)[:3] for line in capsys.readouterr().out.splitlines()] == [
        ["start", "of", "H2O"],
        ["start", "of", "HCN"],
    ]


def test_search_takes_settings_by_name_over_those_given(tmp_path):
    pytest.importorskip("scine_sparrow")
    guesses = write_xyz(tmp_path / "guesses.xyz")
    settings = gadlib.SearchSettings(workers=0, n_steps_per_sample=5, criterion="strict")
    out = tmp_path / "out.json"
    records = gadlib.search(guesses, settings, n_steps_per_sample=1, out=out)
    kept, again = gadlib.read_records(out)
    assert again == records
    assert kept["criterion"] == "strict"
    assert [record.steps for record in records] == [1, 1]


def test_search_takes_atoms_as_from_a_file(tmp_path):
    pytest.importorskip("scine_sparrow")
    guesses = write_xyz(tmp_path / "guesses.xyz")
    atoms = ase.io.read(guesses, ":")
    given = {"workers": 0, "n_steps_per_sample": 1}
    from_file = gadlib.search(guesses, **given)
    assert [r.positions for r in gadlib.search(atoms, **given)] == [r.positions for r in from_file]
    (one,) = gadlib.search(atoms[1], **given)
    assert (one.name, one.start) == ("start of HCN", "atoms")
    assert one.energy == pytest.approx(from_file[1].energy, abs=1e-9)  # alone, not in company
    periodic = atoms[0].copy()
    periodic.set_cell([9, 9, 9])
    periodic.pbc = True
    with pytest.raises(gadlib.InputError, match="periodic cell"):
        gadlib.search(periodic, **given)
    with pytest.raises(gadlib.InputError, match="expected at least one"):
        gadlib.search([], **given)


def test_a_list_of_other_things_is_refused_not_searched_in_part():
    """In a process of its own, where no hook of the tests checks types before."""
    script = """
        import gadlib
        from ase.build import molecule
        from gadlib.molecules.starting_points import from_atoms

        water = molecule("H2O")
        for given in (["guess.xyz"], [water, *from_atoms([water])]):
            try:
                gadlib.search(given)
            except gadlib.InputError as error:
                print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "guesses: a list of str; expected ASE's Atoms, or Starts, alone",
        "guesses: a list of Atoms, Start; expected ASE's Atoms, or Starts, alone",
    ]


def test_search_without_guesses_takes_the_reactions_of_the_set():
    pytest.importorskip("scine_sparrow")
    records = gadlib.search(workers=0, max_samples=2, n_steps_per_sample=1, start_from="ts")
    assert [record.start for record in records] == ["ts", "ts"]


def test_search_refuses_an_unknown_setting_and_says_which_is_near():
    with pytest.raises(gadlib.InputError, match=r"solvr: unknown setting \(did you mean solver"):
        gadlib.search("guesses.xyz", solvr="trust")
