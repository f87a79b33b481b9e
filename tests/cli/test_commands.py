from __future__ import annotations

import json
import signal
import subprocess
import sys

import ase.io
import h5py
import pytest
from ase import Atoms
from little_reactions import on_each_other, write_h5, write_xyz

from gadlib.cli.commands import COMMANDS
from gadlib.cli.flags import settings_of
from gadlib.cli.parser import build, main
from gadlib.settings.hyperparameters import SOLVERS

ARGUMENTS = {"export": ["found.json"], "frequencies": ["found.xyz"], "job": ["01_screen"]}


@pytest.fixture(autouse=True)
def same_sigterm():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder, where we are, with everything that the command lines below name."""
    monkeypatch.chdir(tmp_path)
    whole = write_h5(tmp_path / "little.h5").read_bytes()
    (tmp_path / "half.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5").write_text("hello")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    write_h5(tmp_path / "torn.h5")
    with h5py.File(tmp_path / "torn.h5", "a") as file:
        file["data/CH2O/rxn10/product/atomic_numbers"][0] = 7
    write_xyz(tmp_path / "two.extxyz")
    (tmp_path / "empty.xyz").write_text("")
    ase.io.write(
        tmp_path / "xenon.xyz", Atoms("XeH2", positions=[[0, 0, 0], [0, 0, 1.6], [0, 1.6, 0]])
    )
    ase.io.write(tmp_path / "flat.xyz", on_each_other([8, 1, 1]))
    (tmp_path / "file").write_text("")
    (tmp_path / "there.json").write_text("{}")
    (tmp_path / "not.db").write_text("no database at all " * 100)
    (tmp_path / "nobest.json").write_text('{"best_params": {}}')
    return tmp_path


def status_of(command: str) -> int:
    try:
        return main(command.split())
    except SystemExit as ended:  # argparse ends so
        return int(ended.code or 0)


SEARCH = "search --h5-path little.h5 --start-from ts --n-steps 2 --workers 0"
TUNE = "tune --h5-path little.h5 --split train --start-from ts --n-samples 1 --workers 0"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("search --h5-path none.h5", "none.h5: no such file; expected an HDF5 file in the"),
        ("search --h5-path .", ".: a folder; expected an HDF5 file"),
        ("search --h5-path text.h5", "text.h5: not an HDF5 file; expected one in the Transition1x"),
        ("search --h5-path half.h5", "half.h5: damaged, or not readable"),
        (
            "search --h5-path empty.h5",
            "empty.h5: no group 'test'; expected the Transition1x groups",
        ),
        (
            "search --h5-path torn.h5 --split val",
            "torn.h5: no reaction can be used: reaction val/CH2O/rxn10: product is NCH2 in its",
        ),
        (f"{SEARCH} --split Test", "split 'Test': expected one of train, val, test"),
        (f"{SEARCH} --scine-functional B3LYP", "'B3LYP': expected one of DFTB0, DFTB2"),
        (f"{SEARCH} --calculator vasp", "calculator 'vasp': expected one of scine"),
        (f"{SEARCH} --solver newton", "solver 'newton': expected one of gad"),
        (f"{SEARCH} --criterion best", "criterion 'best': expected one of index1, strict, bound"),
        (f"{SEARCH} --start-from middle", "start 'middle': expected one of reactant, "),
        (f"{SEARCH} --start-from ts_noise9A", "'ts_noise9A': expected noise of at most 5.0 A"),
        (f"{SEARCH} --no-such-flag 1", "unrecognized arguments: --no-such-flag\n"),
        (f"{SEARCH} --dt-mix 1", "arguments: --dt-mix (did you mean --dt-min?)"),
        ("irc saddle.json --out x.json", "arguments: --out x.json (did you mean --out-dir?)"),
        (f"{SEARCH} --dt-min 1", "dt_min = 1: expected 1e-09 .. 0.1 A^2/eV"),
        (f"{SEARCH} --dt-min small", "argument --dt-min: invalid float value: 'small'"),
        (f"{SEARCH} --escape-window 12.5", "argument --escape-window: invalid int value: '12.5'"),
        (f"{SEARCH} --max-samples -3", "max_samples = -3: Input should be greater than or equal"),
        (f"{SEARCH} --workers -1", "workers = -1: Input should be greater than or equal to 0"),
        (f"{SEARCH} --out-dir file/out", "output folder file/out: can't be written (Not a direct"),
        (f"{SEARCH} --out file/out.json", "output folder file: can't be written (File exists)"),
        (f"{SEARCH} --out there.json", "there.json exists; resume it (--resume) or choose another"),
        (f"{SEARCH} --out there.json --resume", "there.json: expected an object with settings and"),
        (f"{SEARCH} --out .", ".: a folder; expected the name of a result file"),
        ("search none.xyz", "none.xyz: no such file; expected starting geometries"),
        ("search empty.xyz", "empty.xyz: an empty file; expected starting geometries"),
        ("search xenon.xyz", "xenon-0: the calculator does not know element Xe"),
        ("search flat.xyz", "are 0.000 A apart at flat.xyz; expected at least 0.001 A"),
        (f"{TUNE} --n-samples 4", "n_samples 4: larger than the set, expected at most 3"),
        (f"{TUNE} --n-trials 0", "n_trials = 0: Input should be greater than or equal to 1"),
        (f"{TUNE} --dt-min 2e-6 --range dt_min=1e-7:1e-5", "dt_min: has a range and one value"),
        (f"{TUNE} --fix dt_min=2e-6 --range dt_min=1e-7:1e-5", "dt_min: has a range and one value"),
        (f"{TUNE} --fix dt_max=0.02 --dt-max 0.02", "--fix dt_max: has two values; expected one"),
        (f"{TUNE} --fix dt_max=0.02,dt_max=0.03", "--fix dt_max: has two values; expected one"),
        (f"{TUNE} --fix mode=lowest --choice mode=lowest,reaction", "has choices and one value"),
        (f"{TUNE} --fix integrator=damped --choice integrator=explicit,damped", "has choices and"),
        (f"{TUNE} --fix try_steps=50", "try_steps: unknown hyperparameter of solver 'gad'"),
        (f"{TUNE} --fix dt_max=9", "dt_max = 9: expected 0.0001 .. 1 A^2/eV"),
        (f"{TUNE} --fix dt_max=small", "'dt_max=small': expected NAME=VALUE, as in try_steps=150"),
        (f"{TUNE} --fix dt_max", "'dt_max': expected NAME=VALUE, as in try_steps=150"),
        (f"{TUNE} --storage sqlite:///not.db", "not.db: not a usable database (file is not a"),
        (f"{TUNE} --storage study.db", "study.db: not a usable storage URL"),
        (f"{TUNE} --storage sqlite:///file/x.db", "output folder file: can't be written (File ex"),
        (f"{TUNE} --screening none.json", "none.json: can't be read (No such file"),
        ("benchmark --solvers best", "solver 'best': expected some of gad, trust, delta, sella"),
        ("benchmark --solvers trust --starts middle", "start 'middle': expected one of"),
        ("validate", "nothing to validate: expected --best hpo_results.json"),
        ("validate --best nobest.json", "nobest.json: no completed trial in it"),
        ("validate --best little.h5", "little.h5: not JSON"),
        ("serch", "invalid choice: 'serch' (choose from"),
    ],
)
def test_unusable_input_ends_with_status_2_and_says_what_was_expected(
    folder, capsys, command, told
):
    pytest.importorskip("scine_sparrow")
    assert status_of(command) == 2
    shown = capsys.readouterr().err
    assert told in shown
    assert "Traceback" not in shown
    assert (folder / "there.json").read_text() == "{}"


def test_search_of_geometries_writes_settings_and_records_in_their_order(folder, capsys):
    pytest.importorskip("scine_sparrow")
    command = "search two.extxyz --solver gad --criterion strict --n-steps 3 --dt-min 2.3e-6"
    assert status_of(f"{command} --workers 0 --out found.json") == 0
    content = json.loads((folder / "found.json").read_text())
    assert content["settings"]["criterion"] == "strict"
    assert content["settings"]["hyperparameters"] == {"dt_min": 2.3e-6}
    assert content["versions"]["gadlib"]
    assert [r["name"] for r in content["records"]] == ["start of H2O", "start of HCN"]
    assert "strict 0/2" in capsys.readouterr().out


def test_start_that_cannot_be_computed_costs_one_record_and_not_the_run(folder):
    pytest.importorskip("scine_sparrow")
    frames = [*ase.io.read("two.extxyz", ":"), on_each_other([8, 1, 1])]
    ase.io.write("three.extxyz", frames)
    assert status_of("search three.extxyz --n-steps 1 --workers 0 --out found.json") == 0
    records = json.loads((folder / "found.json").read_text())["records"]
    assert [r["status"] for r in records] == ["out_of_steps", "out_of_steps", "bad_start"]
    assert "expected at least 0.001 A" in records[2]["message"]


def test_screening_prints_the_difficult_half_hardest_first(folder, capsys):
    pytest.importorskip("scine_sparrow")
    command = "screen --h5-path little.h5 --split all --start-from midpoint_rt_noise0.3A"
    assert status_of(f"{command} --n-steps 15 --workers 0 --out-dir out") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("[") for line in lines) == 6
    head = next(i for i, line in enumerate(lines) if line.startswith("reaction "))
    difficulties = [int(line.split()[2]) for line in lines[head + 1 : head + 4]]
    assert difficulties == sorted(difficulties, reverse=True)
    assert len(json.loads((folder / "out" / "screening.json").read_text())["records"]) == 6


def test_module_runs_from_the_command_line_with_exit_status(folder):
    command = [sys.executable, "-m", "gadlib", "search", "--h5-path", "none.h5"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("gadlib search: none.h5: no such file")
    assert ended.stdout == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_setting_and_hyperparameter_is_a_flag_that_can_be_given(name):
    kind, parser = COMMANDS[name].kind, build()
    others = {int: 7, float: 0.05, str: "given", bool: True}
    for field, declared in kind.model_fields.items():
        if field in (
            *("hyperparameters", "ranges", "choices", "records", "profile"),
            *("ase_options", "torchsim_options"),
        ):
            continue
        if (name, field) == ("find", "check_ends"):  # refused: saddles are followed there anyway
            continue
        plain = next(t for t in (bool, int, float, str) if declared.annotation in (t, t | None))
        wanted = {
            "grace_s": 7.0,
            "device": "cuda:7",
            "n_images": 5,
            "interpolation": "geodesic",
            "relax_ends": "always",
            "trial_samples": "strata",
        }.get(field, others[plain])
        flag = f"--{field.replace('_', '-')}"
        given = [flag] if plain is bool else [flag, str(wanted)]
        read = settings_of(kind, parser.parse_args([name, *ARGUMENTS.get(name, ()), *given]))
        assert getattr(read, field) == wanted != declared.default, field
    if "hyperparameters" in kind.model_fields:
        for number in {n.name: n for solver in SOLVERS.values() for n in solver.tunable()}.values():
            given = [f"--{number.name.replace('_', '-')}", f"{number.low:g}"]
            read = settings_of(kind, parser.parse_args([name, *given]))
            assert read.hyperparameters == {number.name: pytest.approx(number.low)}


def test_fixed_values_are_those_that_a_flag_of_each_gives():
    def read(*given):
        options = build().parse_args(["tune", "--solver", "trust", *given])
        return settings_of(COMMANDS["tune"].kind, options)

    flags = ["--try-steps", "150", "--proof", "products", "--mode", "bonds:0-1,2-3"]
    fixed = ["--fix", "try-steps=150,proof=products", "--fix", "mode=bonds:0-1,2-3"]
    assert read(*fixed) == read(*flags)
    assert type(read(*fixed).hyperparameters["try_steps"]) is int
    assert read("--fix", "try_steps=150", "--kick", "0.4").hyperparameters == {
        "try_steps": 150,
        "kick": 0.4,
    }
    assert read("--fix", "max_atom_disp=0.2").hyperparameters == {"trust_radius_max": 0.2}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_what_the_command_does(name, capsys):
    assert status_of(f"{name} --help") == 0
    first = capsys.readouterr().out.split("\n\n")[1]
    doc = COMMANDS[name].doc
    assert doc[0].islower()
    assert " ".join(first.split()) == f"gadlib {name}: {doc}" + "." * (not doc.endswith("?"))


def test_commands_that_keep_what_is_done_are_those_that_resume_into_a_folder():
    kept = {name for name, command in COMMANDS.items() if command.is_resumable}
    assert kept == {"search", "find", "screen", "tune", "validate", "irc", "benchmark"}


def test_interrupted_command_ends_with_status_130_and_says_how_to_go_on(
    folder, capsys, monkeypatch
):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gadlib.screening.search.screen", interrupt)
    assert status_of(SEARCH) == 130
    assert "what was done is kept, --resume goes on" in capsys.readouterr().err
