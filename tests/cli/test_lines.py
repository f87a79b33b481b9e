"""What the terminal says of each molecule as it ends, and of all of them at the end."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace

import numpy as np

from gadlib.cli.lines import path_line, search_line, searches_summary, told
from gadlib.molecules.starting_points import Start
from gadlib.paths.records import PathRecord
from gadlib.progress.bar import Bar
from gadlib.screening.record_parts import Searched
from gadlib.screening.records import Record
from gadlib.solver.state import PastTry, Status

START = Start("rxn01", "H2O", "", "f", None, np.array([8, 1, 1]), np.eye(3), 1)
FOUND = replace(
    Record.blank(START, Status.SADDLE, "The criterion is met."),
    converged=True,
    criteria={"index1": True, "strict": True, "bound": False},
    energy=-9.5,
    energy_start=-10.0,
    fmax=0.0042,
    imaginary_cm1=1814.2,
    steps=25,
    n_gradient=62,
    n_hessian=1,
    elapsed_s=0.5,
)
LOST = replace(
    FOUND,
    status="out_of_steps",
    message="The steps ran out.",
    converged=False,
    imaginary_cm1=0.0,
    tries=[PastTry("climbing", "too_long", 9, 9)] * 2 + [PastTry("climbing", "out_of_steps", 7, 7)],
)
REFUSED = Record.blank(START, Status.BAD_START, "The starting geometry cannot be computed. Xe.")


def words(line: str) -> str:
    return " ".join(line.split())


def test_line_has_name_status_rise_of_the_energy_force_frequency_and_cost():
    assert words(search_line(FOUND)) == (
        "rxn01 saddle +0.500 eV 0.0042 eV/A 1814i cm-1 25 steps 62 gradients, 1 Hessian"
    )
    assert " - cm-1" in words(search_line(LOST))
    assert words(search_line(REFUSED)) == "rxn01 bad start nothing was computed"


def test_summary_says_what_further_starts_came_to(tmp_path):
    first, second = (Searched(of, "saddle", 9, 9, 0, is_kept=of == "b") for of in "ab")
    found, lost = (replace(r, searches=[first, second]) for r in (FOUND, LOST))
    lines = searches_summary([FOUND, found, lost], tmp_path / "o.json", n_told=3)
    told_of = "searched from further starts: 2; 1 of them meet the criterion (1 from b)"
    assert told_of in lines
    assert "searched from" not in "".join(searches_summary([FOUND], tmp_path / "o.json", n_told=1))


def test_line_of_a_path_has_both_barriers_and_the_bonds():
    path = PathRecord(
        "rxn01", "H2O", "", "ts", "intended", "", change="a", barrier=2.0, reaction_energy=0.5
    )
    assert words(path_line(path)) == "rxn01 intended 2.000 eV forth 1.500 eV back a"
    failed = PathRecord.failed(FOUND, "The path could not be followed: no.")
    assert words(path_line(failed)) == "rxn01 failed - eV forth - eV back"


def test_each_result_is_a_line_above_the_bar_and_a_failure_says_why(capsys):
    with told(quietly=False), Bar(2, "searching", "molecule") as bar:
        bar.ended(FOUND)
        bar.ended(LOST)
    said, drawn = capsys.readouterr()
    lines = said.splitlines()
    assert lines[0].startswith("[1/2] rxn01") and lines[1].startswith("[2/2] rxn01")
    assert lines[2].strip() == "The steps ran out. Tries given up: too long 2."
    assert len(lines) == 3
    assert "2/2" in drawn


def test_quietly_there_is_neither_line_nor_bar(capsys):
    with told(quietly=True) as teller, Bar(1, "searching", "molecule") as bar:
        bar.ended(FOUND)
        assert bar.n == teller.n == 1
    assert capsys.readouterr() == ("", "")


def test_who_does_not_listen_hears_nothing(capsys):
    with told(quietly=False):
        pass
    with Bar(1, "searching", "molecule") as bar:
        bar.ended(FOUND)
    assert capsys.readouterr().out == ""


def test_another_part_of_the_work_has_a_heading(capsys):
    with told(quietly=False):
        for side in ("default", "tuned"):
            with Bar(1, f"searching, {side}", "molecule") as bar:
                bar.ended(FOUND)
    headings = [line for line in capsys.readouterr().out.splitlines() if line.endswith(":")]
    assert headings == ["searching, default:", "searching, tuned:"]


def test_summary_counts_statuses_and_has_medians_of_those_that_met_the_criterion(tmp_path):
    told_of = searches_summary(
        [FOUND, replace(FOUND, steps=35), LOST, REFUSED], tmp_path / "a", n_told=3
    )
    assert told_of[0].startswith("1 of 4 starts were not searched: rxn01: The starting")
    assert told_of[1] == (
        "4 searches: 2 saddle, 1 out of steps, 1 bad start; 1 of them done before"
    )
    assert told_of[2] == "index1 3/4, strict 3/4, bound 0/4"
    assert told_of[3] == (
        "median of those that met the criterion: 30 steps, 62 gradients, 1 Hessian, 0.5 s"
    )
    assert told_of[-1] == f"records: {tmp_path / 'a'}"


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b" not in search_line(FOUND)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert "\x1b[32msaddle" in search_line(FOUND)
    assert "\x1b[31mout of steps" in search_line(LOST)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in search_line(FOUND)


SCRIPT = """
import sys
from types import SimpleNamespace
from gadlib.cli.lines import told
from gadlib.progress.bar import Bar
lost = SimpleNamespace(name="a", status="stopped", message="No.", converged=False, n_gradient=0)
with told(quietly=False), Bar(3, "searching", "molecule") as bar:
    for _ in range(3):
        bar.ended(lost)
        bar.bar.refresh()
        if len(sys.argv) > 1:
            sys.stdin.readline()
print("the end")
"""


def started(*arguments: str, **streams) -> subprocess.Popen:
    paths = os.pathsep.join(p for p in sys.path if p)
    environment = os.environ | {"PYTHONPATH": paths, "TERM": "xterm", "NO_COLOR": "1"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=environment, **streams)


def seen(written: str) -> list[str]:
    """What stands on a terminal after that was written, line by line."""
    screen, row, column = {0: ""}, 0, 0
    for part in re.findall("\x1b\\[A|\r|\n|[^\r\n\x1b]+", written):
        if part == "\x1b[A":
            row -= 1
        elif part == "\r":
            column = 0
        elif part == "\n":
            row += 1
        else:
            line = screen.get(row, "").ljust(column)
            screen[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return [screen.get(i, "").rstrip() for i in range(max(screen) + 1)]


def test_lines_stand_whole_above_the_bar_on_a_terminal():
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    with started(stdout=slave, stderr=slave) as process:
        os.close(slave)
        written = b""
        with contextlib.suppress(OSError):  # which ends what a terminal that is gone had to say
            while more := os.read(master, 65536):
                written += more
    os.close(master)
    assert process.returncode == 0
    lines = seen(written.decode())
    assert [words(line) for line in lines[:6]] == [
        line for n in (1, 2, 3) for line in (f"[{n}/3] a stopped nothing was computed", "No.")
    ]
    assert lines[6].startswith("searching: 100%") and "3/3" in lines[6]
    assert lines[7:] == ["the end"]


def test_search_goes_on_when_nobody_reads_its_lines():
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with started("waiting", text=True, **pipes) as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write("\n" * 3)
        process.stdin.close()
        assert "3/3" in process.stderr.read()
    assert process.returncode == 0
