"""The help teaches: what there is, under which heading, in which unit, with examples."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from gadlib.calculators import KINDS
from gadlib.cli.commands import COMMANDS
from gadlib.cli.commands.table import GROUPS
from gadlib.cli.flags import settings_of
from gadlib.cli.help import Parser
from gadlib.cli.parser import build, main
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.settings.studies import TuneSettings
from gadlib.settings.topics import TOPICS
from gadlib.solver.mode_following import read_aim
from gadlib.systems.batch import atom_label
from gadlib.tuning.space import SAMPLERS


@pytest.fixture
def helped(capsys, monkeypatch):
    """What the help of a command says, by heading."""
    monkeypatch.setenv("COLUMNS", "100")

    def shown(command: str) -> dict[str, str]:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert not ended.value.code
        parts = re.split(r"^(\S.*):\n", capsys.readouterr().out, flags=re.M)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    return shown


def flags(text: str) -> set[str]:
    return set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.M))


def test_gadlib_alone_prints_the_overview_as_help_does(capsys):
    assert main([]) == 0
    alone = capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out == alone
    parts = re.split(r"^(\S.*):\n", alone, flags=re.M)
    rows = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(rows)[: len(GROUPS)] == list(GROUPS.values())
    for name, command in COMMANDS.items():
        assert f"  {name} " in rows[GROUPS[command.group]]
    assert set(re.findall(r"^  gadlib (\w+)", rows["to begin with"], re.M)) == {
        "search",
        "irc",
        "export",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_it_takes(name, helped):
    examples = COMMANDS[name].examples
    assert len(examples) >= 2
    shown, parser = helped(name)["examples"], build()
    for line, what in examples:
        assert f"  # {what}\n  gadlib {line}\n" in shown
        words = shlex.split(line.partition("|")[0])
        assert words[0] == name
        settings_of(COMMANDS[name].kind, parser.parse_args(words))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_stands_under_the_heading_of_its_topic(name, helped):
    kind, shown = COMMANDS[name].kind, helped(name)
    headings = [heading for heading in shown if heading in TOPICS.values()]
    assert headings == [title for title in TOPICS.values() if title in headings]
    for field in kind.model_fields:
        if field not in ("hyperparameters", "ranges", "choices", "records"):
            assert f"--{field.replace('_', '-')}" in flags(shown[TOPICS[kind.topic_of(field)]])
    if "hyperparameters" in kind.model_fields:
        for solver, declared in SOLVERS.items():
            own = {f"--{one.name.replace('_', '-')}" for one in declared.tunable()}
            assert own <= flags(shown[TOPICS[solver]])


def test_options_of_one_calculator_stand_apart(helped):
    shown = helped("search")
    for name in KINDS:
        own = flags(shown[f"options of --calculator {name}"])
        assert {f"--{o.replace('_', '-')}" for o in SearchSettings.options_of(name)} <= own


@pytest.mark.parametrize("name", COMMANDS)
def test_every_number_with_a_fraction_shows_its_unit_or_what_it_is(name, helped):
    kind, headed = COMMANDS[name].kind, helped(name)
    for field, declared in kind.model_fields.items():
        if declared.annotation not in (float, float | None):
            continue
        form = kind.extra(field).get("form") or kind.extra(field).get("unit")
        assert form, f"{kind.__name__}.{field}: neither a unit nor a form is declared"
        shown = headed[TOPICS[kind.topic_of(field)]]
        assert f"--{field.replace('_', '-')} {form} " in " ".join(shown.split())


def test_units_of_hyperparameters_are_what_their_values_are_called(helped):
    shown = " ".join(helped("search")[TOPICS["gad"]].split())
    assert "--dt-max A^2/eV largest time step; 0.01 .. 0.1 A^2/eV (default 0.05)" in shown
    assert "--escape-window N " in shown
    assert "--plateau-boost X " in shown


def test_words_that_are_declared_are_those_that_there_are():
    words = {
        name: set(TuneSettings.extra(name).get("words", ())) for name in TuneSettings.model_fields
    }
    assert words["calculator"] == set(KINDS)
    assert words["solver"] == {*SOLVERS, "auto"}
    assert words["sampler"] == set(SAMPLERS)


QUICK = """
import json, sys, time
sys.argv = ["gadlib", "search", "--help"]
from gadlib.cli.parser import main
try:
    main()
except SystemExit:
    pass
found = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([time.process_time(), found]), file=sys.stderr)
"""


def test_help_takes_less_than_half_a_second_and_brings_nothing_heavy():
    ended = subprocess.run(
        [sys.executable, "-c", QUICK], capture_output=True, text=True, check=True, timeout=60
    )
    seconds, modules = json.loads(ended.stderr)
    assert not {"torch", "numpy", "ase", "h5py", "optuna", "pandas", "argcomplete"} & set(modules)
    assert seconds < 0.5


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ],
)
def test_help_is_coloured_on_terminals_that_want_it(monkeypatch, variables, is_coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    parser, terminal = build(), Terminal()
    assert isinstance(parser, Parser)
    parser.print_help(terminal)
    assert ("\x1b[1mfind saddles:\x1b[0m" in terminal.getvalue()) == is_coloured
    assert ("\x1b[36msearch\x1b[0m" in terminal.getvalue()) == is_coloured
    plain = io.StringIO()
    parser.print_help(plain)
    assert "\x1b" not in plain.getvalue()
    assert re.sub(r"\x1b\[\d+m", "", terminal.getvalue()) == plain.getvalue()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gadlib sea", {"search"}),
        ("gadlib search --solver ", {"gad", "trust", "delta", "auto"}),
        ("gadlib search --split v", {"val"}),
        ("gadlib search --escape-w", {"--escape-window"}),
        ("gadlib search --workers ", set()),
        ("gadlib tune --screening ", {"found.json", "folder/"}),
        ("gadlib report --out-", set()),
        ("gadlib search --out-dir ", {"folder/"}),
    ],
)
def test_shell_completes_commands_flags_words_and_files(tmp_path, line, expected):
    pytest.importorskip("argcomplete")
    for name in ("found.json", "guess.xyz"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / ".answer"),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    command = [sys.executable, "-m", "gadlib"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=os.environ | asked, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    answers = (tmp_path / ".answer").read_text().split("\n")
    assert {answer.strip() for answer in answers if answer.strip()} == expected


@pytest.mark.parametrize("name", ["search", "screen", "tune", "validate", "benchmark", "irc"])
def test_help_says_how_atoms_count_as_words_and_flags_have_it(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert "Atoms count from 0, as in ASE: C0 is the first" in capsys.readouterr().out
    numbers = np.array([6, 7, 1, 1])
    assert [atom_label(numbers, i) for i in range(4)] == ["C0", "N1", "H2", "H3"]
    with pytest.raises(InputError, match=r"there is no atom 4; expected 0 \.\. 3"):
        read_aim("atoms:4", numbers, np.eye(4, 3))


def test_defaults_of_a_file_of_geometries_are_told_where_they_differ(helped):
    shown = " ".join(helped("search")[TOPICS["search"]].split())
    assert "else trust (default gad, of a FILE trust)" in shown
    assert "bound, intended (default index1, of a FILE bound)" in shown
    assert shown.count("of a FILE") == 2
