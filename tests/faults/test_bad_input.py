"""Values and files from outside that can't be used: a sentence, status 2, nothing written."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import optuna
import pytest
from little_reactions import write_h5, write_xyz

from gadlib.cli.parser import main
from gadlib.cluster.storage import open_storage
from gadlib.files.writing import write_json
from gadlib.molecules import reactions, starting_points
from gadlib.paths.records import PathRecord
from gadlib.screening.records import Record, payload
from gadlib.screening.setup import identity_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status

PASSWORD = "SECRET"


def record(**changes: Any) -> dict[str, Any]:
    """A strict saddle of the set, as a search writes it, with some fields changed."""
    start = starting_points.starts(reactions.read("little.h5", split="test", max_samples=1), "ts")[
        0
    ]
    values = asdict(Record.blank(start, Status.SADDLE, ""))
    return values | {"criteria": {"strict": True}, "converged": True} | changes


def searched(**changes: Any) -> dict[str, Any]:
    """A result file of one record."""
    content = payload(SearchSettings(h5_path="little.h5", start_from="ts"), [])
    return content | {"records": [record(**changes)]}


def screened(**settings: Any) -> dict[str, Any]:
    """A screening of nothing, made with some settings."""
    return payload(ScreenSettings.read({"h5_path": "little.h5"} | settings), [])


def tuned(**changes: Any) -> dict[str, Any]:
    """An hpo_results.json of the default settings."""
    about = identity_of(TuneSettings(), without=("starts", "hyperparameters")) | {"reactions": []}
    return {"best_params": {"dt_max": 0.06}, "about": about} | changes


def about(**changes: Any) -> dict[str, Any]:
    return tuned()["about"] | changes


def paths(**changes: Any) -> dict[str, Any]:
    """A paths.json of one saddle."""
    of = asdict(PathRecord("a", "H2", "test", "ts", "intended", ""))
    return {"paths": [of | changes], "settings": {}}


def as_json(name: str, content: Callable[[], Any] | Any) -> Callable[[], None]:
    """What writes a JSON file, of what a function gives or of a constant."""
    return lambda: write_json(name, content() if callable(content) else content) and None


def as_text(name: str, text: str | bytes) -> Callable[[], None]:
    return lambda: (
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode()) and None
    )


def study(edit: Callable[[optuna.Study], None], **how: Any) -> Callable[[], None]:
    """What writes study.db, as gadlib makes it, and then edits it."""

    def make() -> None:
        how.setdefault("direction", "maximize")
        made = optuna.create_study(storage="sqlite:///study.db", study_name="s", **how)
        edit(made)
        made._storage.remove_session()

    return make


def foreign(study: optuna.Study) -> None:
    study.add_trial(
        optuna.create_trial(
            params={"x": 0.5},
            distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
            values=[1.0] * len(study.directions),
        )
    )


def attribute(name: str, value: Any) -> Callable[[optuna.Study], None]:
    def edit(study: optuna.Study) -> None:
        study.set_user_attr("gadlib", {})
        study.set_user_attr(name, value)

    return edit


def other_program() -> None:
    with sqlite3.connect("study.db") as connection:
        connection.execute("CREATE TABLE sessions (id INTEGER)")
    connection.close()


def old_optuna() -> None:
    study(lambda _: None)()
    with sqlite3.connect("study.db") as connection:
        connection.execute("UPDATE version_info SET schema_version = 99")
        connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    connection.close()


def torn_attribute() -> None:
    study(lambda s: s.set_user_attr("gadlib", {}))()
    with sqlite3.connect("study.db") as connection:
        connection.execute("UPDATE study_user_attributes SET value_json = '{'")
    connection.close()


def results_that_are_there(**changes: Any) -> Callable[[], None]:
    return as_json("found.json", lambda: searched(**changes))


class Case(NamedTuple):
    """A command line, what the sentence must have in it, what lies there, and variables."""

    command: str
    told: tuple[str, ...]
    there: Callable[[], Any] | None = None
    variables: Mapping[str, str] = MappingProxyType({})


SEARCH = "search --h5-path little.h5 --start-from ts --n-steps 2 --workers 0"
RESUME = f"{SEARCH} --out found.json --resume"
TUNE = "tune --h5-path little.h5 --workers 0"
VALIDATE = "validate --h5-path little.h5 --workers 0 --best best.json"
STUDY = "--storage sqlite:///study.db"
NESTED = "[" * 100_000
BIG = 10**30

NUMBERS = {
    f"{SEARCH} --max-samples {BIG}": ("max_samples", str(BIG), "1 .. 10000000"),
    f"{SEARCH} --n-steps {10**18}": ("n_steps_per_sample", str(10**18), "1 .. 10000000"),
    f"{SEARCH} --batch-size {10**18}": ("batch_size", str(10**18), "1 .. 10000000"),
    f"{SEARCH} --workers {10**9}": ("workers", "1000000000", "0 .. 4096"),
    f"{SEARCH} --noise-seed {2**32}": ("noise_seed", str(2**32), "0 .. 4294967295"),
    f"{SEARCH} --noise-seed -1": ("noise_seed", "-1", "0 .. 4294967295"),
    f"{SEARCH} --threads 0": ("threads", "= 0", "1 .. 1024"),
    f"{SEARCH} --plateau-patience {'9' * 400}": ("plateau_patience", "bits", "1 .. 200"),
    f"{SEARCH} --dt-max nan": ("dt_max", "nan", "finite number"),
    f"{SEARCH} --dt-max inf": ("dt_max", "inf", "finite number"),
    f"{SEARCH} --max-atom-disp 9": ("trust_radius_max", "9", "0.01 .. 2 A"),
    f"{SEARCH} --solver trust --radius-max 5": ("radius_max", "5", "0.001 .. 2 A"),
    f"{TUNE} --seed {2**32}": ("seed", str(2**32), "0 .. 4294967295"),
    f"{TUNE} --n-trials {2**64}": ("n_trials", str(2**64), "1 .. 10000000"),
    f"{TUNE} --grace-s inf": ("grace_s", "inf", "finite"),
    f"{TUNE} --grace-s 1e300": ("grace_s", "1e+300", "2 .. 1000000"),
    f"{TUNE} --storage-timeout-s -1": ("storage_timeout_s", "-1", "0 .. 1000000"),
    f"{TUNE} --difficulty-threshold nan": ("difficulty_threshold", "nan", "0 .. 1"),
    f"{TUNE} --range escape_delta=nan:1": ("escape_delta", "nan", "finite number"),
    f"{TUNE} --range escape_delta=0.2:1e9": ("escape_delta", "1000000000", "0.001 .. 2 A"),
    f"{TUNE} --study-name {'n' * 600}": ("study_name", "nnn", "at most 500"),
    f"timing --n-steps {10**18}": ("n_steps", str(10**18), "1 .. 10000000"),
    "growth --noise 1e9": ("noise", "1000000000", "0 .. 5"),
    f"growth --carbons {10**12}": ("carbons", "1000000000000", "at most 1000"),
    f"timing --atoms {10**12}": ("atoms", "1000000000000", "from 1 to 100000"),
    "timing --batches -1": ("batches", "-1", "from 1 to 100000"),
    f"demo --workers {10**9}": ("workers", "1000000000", "0 .. 4096"),
    f"irc --h5-path little.h5 --n-steps {10**18}": ("n_steps", str(10**18), "1 .. 10000000"),
}
CASES = [Case(command, told) for command, told in NUMBERS.items()]

FILES: list[tuple[str, Any, tuple[str, ...]]] = [
    ("{", "text", ("not JSON",)),
    ("", "text", ("not JSON",)),
    (NESTED, "text", ("not JSON", "nested too deeply")),
    ('{"a": NaN}', "text", ("not JSON", "NaN", "finite")),
    ('{"a": 1e999}', "text", ("not JSON", "1e999", "finite")),
    ('{"a": 1, "a": 2}', "text", ("not JSON", "'a' twice")),
    (b"\xff\xfe{", "text", ("not JSON",)),
    ("[]", "text", ("expected an object with settings and records", "[]")),
    ("3", "text", ("expected an object with settings and records", "3")),
    ('{"settings": 3, "records": []}', "text", ("settings = 3", "valid dictionary")),
    ('{"settings": {}, "records": {}}', "text", ("records = {}", "valid list")),
    ('{"settings": {}, "records": [1]}', "text", ("records[0]", "found 1")),
    ({"converged": "no"}, "record", ("records[0]", "converged = 'no'", "valid boolean")),
    ({"criteria": {"strict": 1}}, "record", ("records[0]", "strict = 1", "valid boolean")),
    ({"steps": "12"}, "record", ("records[0]", "steps = '12'", "valid integer")),
    ({"steps": -3}, "record", ("records[0]", "steps = -3", "greater than or equal to 0")),
    ({"steps": 2**70}, "record", ("records[0]", "steps", "less than")),
    ({"name": None}, "record", ("records[0]", "name = None", "valid string")),
    ({"atomic_numbers": [6.2]}, "record", ("records[0]", "6.2", "valid integer")),
    ({"atomic_numbers": [400] * 3}, "record", ("atomic_numbers has 400", "1 .. 118")),
    ({"positions": [[0, 0]]}, "record", ("positions of 1 atoms", "for each of 3")),
    ({"positions": "far"}, "record", ("positions = 'far'", "valid list")),
    ({"positions": [[None] * 3] * 3}, "record", ("positions", "null", "finite")),
    ({"energy": "low"}, "record", ("energy = 'low'", "valid number")),
]
for content, kind, told in FILES:
    made = (
        as_text("found.json", content)
        if kind == "text"
        else as_json("found.json", lambda content=content: searched(**content))
    )
    CASES.append(Case("irc found.json --h5-path little.h5", ("found.json", *told), made))
    if content != "":  # an empty file is one that nothing has been written to yet
        CASES.append(Case(RESUME, ("found.json", *told), made))

BEST: list[tuple[Callable[[], Any] | Any, tuple[str, ...]]] = [
    ([], ("expected an hpo_results.json with best_params", "[]")),
    ({}, ("expected an hpo_results.json with best_params", "lacks best_params")),
    ({"best_params": {}}, ("no completed trial",)),
    ({"best_params": [1]}, ("best_params = [1]", "valid dictionary")),
    ({"best_params": {"dt_max": "0.05"}}, ("dt_max = '0.05'", "expected a number")),
    ({"best_params": {"dt_max": None}}, ("best_params.dt_max", "None")),
    ({"best_params": {"dt_max": True}}, ("best_params.dt_max", "True")),
    ({"best_params": {"dt_max": 9}}, ("dt_max = 9", "0.0001 .. 1")),
    ({"best_params": {"dt_mox": 0.05}}, ("dt_mox", "did you mean dt_max")),
    (lambda: tuned(about=3), ("about", "3")),
    (lambda: tuned(about=about(reactions="rxn")), ("reactions = 'rxn'", "valid list")),
    (
        lambda: tuned(about=about(calculator="hip")),
        ("best.json", "calculator was 'hip', now 'scine'", "--allow-transfer"),
    ),
    (lambda: tuned(about=about(n_steps_per_sample="many")), ("n_steps_per_sample = 'many'",)),
]
CASES += [Case(VALIDATE, ("best.json", *told), as_json("best.json", made)) for made, told in BEST]

# What is given beside values that were tuned for something else; the rest is taken from their file.
TRANSFERS: list[tuple[str, dict[str, Any], str]] = [
    ("--solver gad", {"solver": "trust"}, "solver was 'trust', now 'gad'"),
    ("--mode lowest", {"mode": "reaction"}, "mode was 'reaction', now 'lowest'"),
    ("--criterion index1", {"criterion": "bound"}, "criterion was 'bound', now 'index1'"),
    ("--start-from midpoint_rt", {"start_from": "ts"}, "start_from was 'ts', now 'midpoint_rt'"),
    ("--n-steps 800", {"n_steps_per_sample": 9}, "n_steps_per_sample was 9, now 800"),
]
CASES += [
    Case(
        f"{VALIDATE} {given}",
        ("best.json", told),
        as_json("best.json", lambda of=of: tuned(about=about(**of))),
    )
    for given, of, told in TRANSFERS
]

SCREENED: list[tuple[Callable[[], Any], tuple[str, ...]]] = [
    (lambda: {"settings": {}, "records": []}, ("made with other settings", "h5_path")),
    (lambda: screened(mode="reaction"), ("mode was 'reaction', now 'lowest'",)),
    (lambda: screened(noise_seed=7), ("noise_seed was 7, now 42",)),
    (
        lambda: screened() | {"records": [record(criteria={"strict": "yes"})]},
        ("strict = 'yes'", "valid boolean"),
    ),
    (lambda: screened() | {"settings": {"h5_path": "little.h5"}}, ("split", "expected")),
]
CASES += [
    Case(
        f"{TUNE} --screening screened.json",
        ("screened.json", *told),
        as_json("screened.json", made),
    )
    for made, told in SCREENED
]

PATHS: list[tuple[Any, tuple[str, ...]]] = [
    ([], ("expected an object with paths",)),
    ({"paths": 3}, ("paths = 3", "valid list")),
    ({"paths": [{}]}, ("paths[0]", "lacks name")),
    (paths(verdict=7), ("paths[0]", "verdict = 7", "valid string")),
    (paths(barrier="high"), ("paths[0]", "barrier = 'high'", "valid number")),
]
CASES += [
    Case(
        "irc --h5-path little.h5 --out-dir there --resume",
        ("there/paths.json", *told),
        as_json("there/paths.json", made),
    )
    for made, told in PATHS
]

STUDIES: list[tuple[Callable[[], None], tuple[str, ...]]] = [
    (study(foreign), ("'s' was not made by gadlib", "choose another --study-name")),
    (study(foreign, direction="minimize"), ("was not made by gadlib", "minimize")),
    (
        study(foreign, direction=None, directions=["maximize", "minimize"]),
        ("was not made by gadlib", "maximize, minimize"),
    ),
    (study(attribute("gadlib", "yes")), ("'s'", "gadlib = 'yes'", "valid dictionary")),
    (study(attribute("n_trials", "many")), ("'s'", "n_trials = 'many'", "valid integer")),
    (study(attribute("screening", [1])), ("'s'", "screening.0 = 1", "valid dictionary")),
    (study(attribute("settings", [])), ("'s'", "settings = []", "valid dictionary")),
    (torn_attribute, ("study.db", "can't be read")),
    (other_program, ("study.db", "a database of another program (it has sessions)")),
    (old_optuna, ("study.db", "not a usable database")),
    (lambda: Path("study.db").write_bytes(b"SQLite format 3\0" + b"\1" * 900), ("not a usable",)),
    (lambda: os.mkfifo("study.db"), ("study.db is a pipe", "expected a file")),
    (lambda: Path("study.db").mkdir(), ("study.db is a folder",)),
]
for made, told in STUDIES:
    for name in ("status", "results", "tune"):
        more = "--h5-path little.h5 --study-name s --resume" if name == "tune" else ""
        CASES.append(Case(f"{name} {STUDY} {more}", told, made))
    CASES.append(Case(f"report {STUDY} --validation none", told, made))

URLS = [
    f"postgresql://u:{PASSWORD}",
    f"postgresql:/u:{PASSWORD}@h/d",
    f"postgresql:u:{PASSWORD}@h/d",
    f"postgresql://u:{PASSWORD}@h:port/d",
    f"postgresql://u:{PASSWORD}@x@h/d",
    f"u:{PASSWORD}@h/d",
    f"nosuch://u:{PASSWORD}@h/d",
]
for url in URLS:
    CASES.append(Case(f"{TUNE} --storage {url}", ("storage", "expected")))
    CASES.append(Case(f"status --storage={url}", ("storage",)))

JOB = "job 02_tune --parameters job.yaml"
YAML: list[tuple[str | bytes, tuple[str, ...]]] = [
    ("a: b: c", ("job.yaml", "line 1, column 5")),
    ("n_trials: 3\n  x: [", ("job.yaml", "line 2")),
    ("- 1\n- 2\n", ("job.yaml", "expected names and values", "a list")),
    ("hello", ("job.yaml", "expected names and values", "'hello'")),
    ("n_trials: 3\nn_trials: 4\n", ("job.yaml", "line 2", "'n_trials' is given twice")),
    ("1: 2\n", ("job.yaml", "1: expected a name")),
    ("n_trials: !!python/object:os.system {}", ("job.yaml", "line 1")),
    (b"\xff\xfe\x00", ("job.yaml", "not YAML")),
    (NESTED, ("job.yaml", "nested too deeply")),
    ("n_trails: 3", ("n_trails",)),
    ("n_trials: many", ("n_trials = 'many'", "valid integer")),
    (f"n_trials: {BIG}", ("n_trials", "1 .. 10000000")),
    ("resume: perhaps", ("resume = 'perhaps'", "valid boolean")),
    ("hyperparameters: 3", ("hyperparameters", "3")),
    (f"storage: ['postgresql://u:{PASSWORD}@h/d']", ("storage", "STORAGE")),
    (f"out_dir: 'postgresql://u:{PASSWORD}@h/d'", ("out_dir", "password")),
    ('out_dir: "a\\0b"', ("out_dir", "NUL")),
    ("study_name: ''", ("study_name = ''", "at least 1")),
    ("start_from: nowhere", ("start 'nowhere'", "expected one of")),
    ("criterion: best", ("criterion 'best'", "index1")),
    ("mode: up", ("mode 'up'", "expected lowest")),
    ("sampler: best", ("sampler 'best'", "tpe")),
    ("pruning: some", ("pruning 'some'", "best_possible")),
    ("split: all but one", ("split 'all but one'", "train")),
    ("calculator: vasp", ("calculator 'vasp'", "scine")),
    ("scine_functional: B3LYP", ("'B3LYP'", "DFTB0")),
    ("h5_path: nowhere.h5", ("nowhere.h5", "no such file")),
    ("ranges: {dt_max: [1, 0]}", ("dt_max = [1.0, 0.0]", "0.0001 .. 1")),
    ("screening: nowhere.json", ("nowhere.json", "can't be read")),
]
CASES += [Case(JOB, told, as_text("job.yaml", text)) for text, told in YAML]

VARIABLES: list[tuple[str, dict[str, str], tuple[str, ...]]] = [
    ("02_tune", {"SLURM_CPUS_PER_TASK": "eight"}, ("SLURM_CPUS_PER_TASK", "'eight'", "a number")),
    ("02_tune", {"SLURM_RESTART_COUNT": "1.5"}, ("SLURM_RESTART_COUNT", "'1.5'", "a number")),
    ("02_tune", {"SLURM_JOB_ID": "../x"}, ("SLURM_JOB_ID", "'../x'", "a number")),
    ("02_tune", {"RESUME": "perhaps"}, ("RESUME", "'perhaps'", "yes")),
    ("02_tune", {"N_TRIALS": "1.5"}, ("N_TRIALS=1.5", "integer")),
    ("02_tune", {"RANGES": "{a: ["}, ("RANGES", "line 1")),
    ("02_tune", {"START_FROM": "nowhere"}, ("start 'nowhere'", "expected one of")),
    ("02_tune", {"STORAGE": f"postgresql:/u:{PASSWORD}@h/d"}, ("storage", "expected e.g.")),
    ("02_tune", {"STORAGE": "study.db"}, ("storage study.db", "expected e.g.")),
    ("01_screen", {"DT_MAX": "fast"}, ("DT_MAX", "'fast'", "a number")),
    ("01_screen", {"ADAPTIVE_DELTA": "99"}, ("adaptive_delta_scale = 99", "0 .. 10")),
    ("01_screen", {"ESCAPE_WINDOW": "2.5"}, ("ESCAPE_WINDOW", "'2.5'", "an integer")),
    ("01_screen", {"BEST": "nowhere.json"}, ("nowhere.json", "can't be read")),
    ("01_screen", {"MODE": "up"}, ("mode 'up'", "expected lowest")),
    ("03_results", {"BEST": "nowhere.json"}, ("nowhere.json", "can't be read")),
    ("03_results", {"BEST": "", "SOLVER": "newton"}, ("solver 'newton'", "gad")),
    ("03_results", {"ALLOW_TRANSFER": "maybe"}, ("ALLOW_TRANSFER", "'maybe'", "true")),
]
CASES += [Case(f"job {name}", told, None, values) for name, values, told in VARIABLES]
CASES.append(
    Case(
        "job 01_screen",
        ("BEST=best.json", "start_from was 'ts', now", "ALLOW_TRANSFER=1"),
        as_json("best.json", lambda: tuned(about=about(start_from="ts"))),
        {"BEST": "best.json"},
    )
)

PLACES = [
    Case(f"{SEARCH} --out-dir file", ("output folder file", "can't be written")),
    Case(f"{SEARCH} --out-dir /proc/none", ("output folder /proc/none", "can't be written")),
    Case(f"{TUNE} --out-dir file/below", ("output folder file/below", "can't be written")),
    Case(f"{VALIDATE} --best .", (".: a folder", "expected a file")),
    Case("irc pipe --h5-path little.h5", ("pipe: a pipe", "expected starting geometries")),
    Case("validate --best pipe", ("pipe: a pipe", "expected a file")),
    Case(f"{TUNE} --screening pipe", ("pipe: a pipe", "expected a file")),
    Case("job 02_tune --parameters pipe", ("pipe: a pipe", "expected a file")),
    Case("job 02_tune --parameters .", (".: a folder", "expected a file")),
    Case("irc huge.json --h5-path little.h5", ("huge.json", "bytes", "at most")),
    Case("status --storage journal:///journal.log", ("journal.log", "no study in it"), as_text(
        "journal.log", "not a journal\n")),
    Case("status --storage journal:///pipe", ("pipe is a pipe", "expected a file")),
]  # fmt: skip
CASES += PLACES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder, where we are, with what the command lines name."""
    monkeypatch.chdir(tmp_path)
    for name in [*os.environ]:
        if name.startswith("SLURM_") or name in ("GADLIB_STORAGE", "STORAGE", "RESUME"):
            monkeypatch.delenv(name)
    write_h5(tmp_path / "little.h5")
    write_xyz(tmp_path / "two.extxyz")
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 31)  # of which the disk keeps nothing
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def listing(folder: Path) -> dict[str, Any]:
    """What lies in a folder: every name, with the content of what is a small file."""
    return {
        str(path.relative_to(folder)): content(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix not in (".db-wal", ".db-shm")
    }


def content(path: Path) -> Any:
    """Bytes of a small file; of a database what it holds, not how it keeps it."""
    if not path.is_file() or path.stat().st_size > 10**6:
        return None
    if path.suffix == ".db":
        try:
            with contextlib.closing(sqlite3.connect(path)) as connection:
                return list(connection.iterdump())
        except sqlite3.DatabaseError:
            pass
    return path.read_bytes()


def shown(case: Case) -> str:
    told = " ".join(f"{k}={v}" for k, v in case.variables.items())
    return f"{told} {case.command[:70]} | {case.told[-1]}".strip()


@pytest.mark.parametrize("case", CASES, ids=shown)
def test_bad_input_is_one_sentence_and_status_2_and_nothing_is_written(
    case, folder, monkeypatch, capfd
):
    pytest.importorskip("scine_sparrow")
    if case.there is not None:
        case.there()
    for name, value in case.variables.items():
        monkeypatch.setenv(name, value)
    before = listing(folder)
    assert status_of(case.command) == 2
    out, err = capfd.readouterr()
    lines = err.strip().splitlines()
    assert len(lines) == 1 or (lines[0].startswith("usage:") and "error:" in lines[-1])
    assert lines[-1].startswith("gadlib ")
    for part in case.told:
        assert part in lines[-1]
    assert "Traceback" not in out + err
    assert PASSWORD not in out + err
    assert listing(folder) == before


def status_of(command: str) -> int:
    try:
        return main(command.split())
    except SystemExit as ended:  # argparse ends so
        return int(ended.code or 0)


def test_the_table_has_as_many_inputs_as_it_is_said_to():
    assert len(CASES) >= 200
    assert len({(c.command, c.told, c.there, *c.variables.items()) for c in CASES}) == len(CASES)


@pytest.mark.parametrize("text", ["", "0", "false", "no", "off", "FALSE"])
def test_resume_0_means_no_resume(text):
    from gadlib.cli.slurm import parameters_of

    assert parameters_of("02_tune", {}, {"RESUME": text})["resume"] is False


def test_a_study_whose_workers_say_nonsense_is_still_told(folder, capsys):
    def edit(study: optuna.Study) -> None:
        study.set_user_attr("gadlib", {})
        sound = {"machine": "m", "pid": 7, "ticks": "1", "beat": 1e18}
        for number, wrong in enumerate(
            [{"pid": 4 * 10**9}, {"beat": "now"}, {"beat": float("nan")}, {"pid": "7"}, {}]
        ):
            study.set_user_attr(f"worker:{number}", sound | wrong)
        study.set_user_attr("worker:text", "alive")

    study(edit)()
    assert main(["status", "--storage", "sqlite:///study.db"]) == 0
    assert "workers alive:   0" in capsys.readouterr().out


def test_a_locked_database_is_not_called_damaged(folder):
    study(lambda s: s.set_user_attr("gadlib", {}))()
    with contextlib.closing(sqlite3.connect("study.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match=r"study.db: locked by another program"):
            open_storage("sqlite:///study.db", must_exist=True, timeout_s=0.2)
    open_storage("sqlite:///study.db", must_exist=True, timeout_s=0.2)


def test_names_of_published_scripts_are_flags(folder, capsys):
    pytest.importorskip("scine_sparrow")
    command = f"{SEARCH} --adaptive-delta --max-atom-disp 0.3 --max-samples 1 --out o.json"
    assert status_of(command) == 0
    settings = json.loads(Path("o.json").read_text())["settings"]
    assert settings["hyperparameters"] == {"adaptive_delta_scale": 1.0, "trust_radius_max": 0.3}
    assert status_of(f"{SEARCH} --max-atom-disp 0.3 --trust-radius-max 0.2 --out p.json") == 2


def test_names_of_published_scripts_are_parameters_of_jobs():
    from gadlib.cli.slurm import parameters_of

    given = {"hyperparameters": {"max_atom_disp": 0.3}}
    found = parameters_of("01_screen", given, {"ADAPTIVE_DELTA": "0.5"})["hyperparameters"]
    assert found == {"trust_radius_max": 0.3, "adaptive_delta_scale": 0.5}


def test_a_page_shows_no_password_of_a_malformed_url(folder, capsys):
    (folder / "v").mkdir()
    start = starting_points.starts(reactions.read("little.h5", split="test", max_samples=1), "ts")[
        0
    ]
    for side in ("default", "tuned"):
        write_json(folder / "v" / f"{side}.json", payload(SearchSettings(), [
            Record.blank(start, Status.OUT_OF_STEPS, "")]))  # fmt: skip
    for number, url in enumerate(URLS):
        out = folder / f"{number}.html"
        assert main(["report", "--storage", url, "--validation", "v", "--out", str(out)]) == 0
        assert PASSWORD not in out.read_text() + "".join(capsys.readouterr())
