"""Tests run once for each mutant, in forks of one process that has imported and collected all.

A mutant's code is put into its fork (`transplant`), which runs the tests that touch the function,
the quickest first, until one fails. Tests that take longer than is allowed, or start servers, do
not take part.
"""

import contextlib
import csv
import gc
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import hypothesis.strategies
import pytest
from _pytest.main import pytest_runtestloop as run_tests
from transplant import ImportFailsError, NotTransplantedError, living, put

ROOT = Path(__file__).resolve().parents[2]
CAUGHT = ("caught", "hung")
HEAVY = {"postgres", "grpc", "nest", "hen"}  # fixtures that start servers or packs of workers


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        file: relative to the root of the package's checkout.
        line: where the change begins.
        inside: the outermost function or method around it, `Class.method`; empty outside of all.
        old: the piece as it stands.
        new: the piece as it is changed.
        make: the whole file, changed; raises SyntaxError where it can't be.
    """

    file: str
    line: int
    inside: str
    old: str
    new: str
    make: Callable[[], str]

    def __str__(self) -> str:
        """What a table shows."""
        return f"{self.file}:{self.line} [{self.old}] -> [{self.new}]"


@dataclass
class Measured:
    """What the tests do with the code as it stands: seconds, and functions they touch, by test."""

    seconds: dict[str, float] = field(default_factory=dict)
    touched: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


class Mutation:
    """A plugin of pytest that runs the collected tests once for each mutant."""

    def __init__(self, mutants: Sequence[Mutant], table: Path, quick_s: float) -> None:
        self.mutants, self.table, self.quick_s = mutants, table, quick_s
        self.verdicts: list[tuple[Mutant, str]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all mutants in the place of one run of the tests."""
        warm_up(session)
        session.items = [i for i in session.items if not HEAVY & set(i.fixturenames)]
        measured = self._measure(session)
        quick = [i for i in session.items if measured.seconds.get(i.nodeid, 1e9) <= self.quick_s]
        quick.sort(key=lambda item: measured.seconds[item.nodeid])
        print(f"\n{len(quick)} tests, {sum(measured.seconds[i.nodeid] for i in quick):.1f} s; "
              f"{len(self.mutants)} mutants", flush=True)  # fmt: skip
        functions = living({ROOT / mutant.file for mutant in self.mutants})
        gc.collect()
        gc.freeze()  # what is not looked at need not be copied into each fork
        gc.disable()
        for mutant in self.mutants:
            key = (str(ROOT / mutant.file), mutant.inside)
            items = [i for i in quick if not mutant.inside or key in measured.touched[i.nodeid]]
            limit = 30 + 4 * sum(measured.seconds[i.nodeid] for i in items)
            started = time.monotonic()
            verdict, by = (
                attempt(session, items, mutant, functions, limit) if items else ("untouched", "")
            )
            self._note(mutant, verdict, by, time.monotonic() - started)
        return True

    def _note(self, mutant: Mutant, verdict: str, by: str, seconds: float) -> None:
        """A row of the table; it is written at once, so that a run may be broken off."""
        if verdict not in CAUGHT:
            print(f"{verdict}: {mutant}", flush=True)
        if not self.verdicts:
            self.table.parent.mkdir(parents=True, exist_ok=True)
            self.table.write_text("file,line,inside,old,new,verdict,by,seconds\n")
        self.verdicts.append((mutant, verdict))
        m = mutant
        with self.table.open("a", newline="") as file:
            row = [m.file, m.line, m.inside, m.old, m.new, verdict, by, f"{seconds:.1f}"]
            csv.writer(file).writerow(row)

    def _measure(self, session: pytest.Session) -> Measured:
        """Run all tests once, in a process of its own; those that fail take no part."""
        found = Measured()
        lines, _ = _fork(lambda say: _measure_all(session, say, self.quick_s), 3600)
        for line in lines:
            name, seconds, *touched = line.split("\t")
            if seconds == "failed":
                print(f"fails without any mutant, or takes too long: {name}", flush=True)
                continue
            found.seconds[name] = float(seconds)
            found.touched[name] = {
                (file, inside) for file, inside in (t.split("|") for t in touched)
            }
        return found


def warm_up(session: pytest.Session) -> None:
    """Have done once, before any fork, what hypothesis would do in each.

    It reads the source of all modules for numbers to try. Besides, it is to stop at the first
    example that fails.
    """
    if session.testsfailed:
        raise session.Interrupted("tests can't be collected")
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", hypothesis.settings(), phases=phases)
    hypothesis.settings.load_profile("mutation")
    hypothesis.given(hypothesis.strategies.integers())(lambda _: None)()


def _measure_all(session: pytest.Session, say, quick_s: float) -> int:
    wing = str(ROOT / "gadlib")
    touched: set[tuple[str, str]] = set()

    def note(frame, event, _) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(wing):
            touched.add((code.co_filename, code.co_qualname.split(".<locals>")[0]))

    def give_up(*_) -> None:
        raise TimeoutError

    signal.signal(signal.SIGPROF, give_up)
    for item in session.items:
        touched.clear()
        started = time.process_time() + time.monotonic() / 10  # of what waits or is crowded out
        item.session.items = [item]
        threading.setprofile(note)
        sys.setprofile(note)
        signal.setitimer(signal.ITIMER_PROF, 1.5 * quick_s)
        with contextlib.suppress(TimeoutError):
            run_tests(session)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.setprofile(None)
        seconds = time.process_time() + time.monotonic() / 10 - started
        told = "failed" if session.testsfailed else f"{seconds:.3f}"
        say("\t".join([item.nodeid, told, *("|".join(t) for t in sorted(touched))]))
        session.testsfailed, session.shouldfail, session.shouldstop = 0, False, False
    return 0


def attempt(
    session: pytest.Session, items: list, mutant: Mutant | None, functions, limit_s: float
) -> tuple[str, str]:
    """What became of a mutant, or of the code as it stands, and the first test that failed."""

    class Told:
        def pytest_runtest_logreport(self, report):
            if report.failed:
                self.say(report.nodeid)

    def run(say) -> int:
        if mutant is not None:
            file = ROOT / mutant.file
            put(mutant.make(), file, functions[file])
        Told.say = staticmethod(say)
        session.config.pluginmanager.register(Told())
        session.items, session.config.option.maxfail = items, 1
        try:
            run_tests(session)
        except (session.Failed, session.Interrupted):
            return 1
        return int(session.testsfailed > 0)

    lines, status = _fork(run, limit_s)
    names = {0: "SURVIVED", 3: "not put", 4: "broken", None: "hung"}
    return names.get(status, "caught"), (lines or [""])[0]


def _fork(run, limit_s: float) -> tuple[list[str], int | None]:
    """The lines that a function said in a fork of this process, and its status; None: too late."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        os.close(reading)
        os._exit(_run_child(run, writing))
    os.close(writing)
    text, until = b"", time.monotonic() + limit_s
    while (left := until - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            piece = os.read(reading, 65536)
            text += piece
            if not piece:
                break
    os.close(reading)
    late = left <= 0
    with contextlib.suppress(ProcessLookupError):  # the fork, and what its tests left running
        os.killpg(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return text.decode().splitlines(), None if late else status


def _run_child(run, writing: int) -> int:
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)

    def say(line: str) -> None:
        os.write(writing, (line + "\n").encode())

    try:
        return run(say)
    except (NotTransplantedError, SyntaxError):
        return 3
    except ImportFailsError:
        say("the import")
        return 1
    except BaseException:
        say(traceback.format_exc().replace("\n", " / "))
        return 4


def run(plugin: object, tests: Sequence[str]) -> None:
    """Collect the tests, and run them once for each mutant of the plugin."""
    os.chdir(ROOT)
    flags = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:terminal", "--timeout=0", "-s"]
    flags += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis came before pytest
    pytest.main([*flags, *tests], plugins=[plugin])
