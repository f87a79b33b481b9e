"""The share of mutants that the tests of a wing catch: `python tests/mutation/run.py hessians`.

Everything is imported and all tests are collected once; each mutant is a fork of that process into
which its code is put (`transplant`) and which runs the tests that touch the function, the quickest
first, until one fails. Tests that take longer than `--quick`, or start servers, do not take part.
Where a wing has more mutants than `--sample`, so many are drawn with a fixed seed. The table of
all that were tried goes to runs/mutation/, the summary to the screen. mutmut makes the mutants.
"""

import argparse
import contextlib
import csv
import gc
import os
import random
import select
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.main import pytest_runtestloop as run_tests

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

from mutants import Mutant, mutants_of  # noqa: E402
from transplant import NotTransplantedError, living, put  # noqa: E402

CAUGHT = ("caught", "hung")
HEAVY = {"postgres", "grpc", "nest", "hen"}  # fixtures that start servers or packs of workers


@dataclass
class Measured:
    """What the tests do with the code as it stands: seconds, and functions they touch, by test."""

    seconds: dict[str, float] = field(default_factory=dict)
    touched: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


class Mutation:
    """A plugin of pytest that runs the collected tests once for each mutant."""

    def __init__(self, options: argparse.Namespace, mutants: list[Mutant], table: Path) -> None:
        self.options, self.mutants, self.table = options, mutants, table
        self.verdicts: list[tuple[str, str]] = []  # with the file

    def pytest_collection(self, session: pytest.Session) -> None:
        """Let hypothesis stop at the first example that fails."""
        from hypothesis import Phase, settings

        settings.register_profile("mutation", settings(), phases=(Phase.explicit, Phase.generate))
        settings.load_profile("mutation")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all mutants in the place of one run of the tests."""
        if session.testsfailed:
            raise session.Interrupted("tests can't be collected")
        session.items = [i for i in session.items if not HEAVY & set(i.fixturenames)]
        measured = self._measure(session)
        quick = [
            i for i in session.items if measured.seconds.get(i.nodeid, 1e9) <= self.options.quick
        ]
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
            limit = 10 + 10 * sum(measured.seconds[i.nodeid] for i in items)
            started = time.monotonic()
            verdict, by = (
                _try(session, items, mutant, functions, limit) if items else ("untouched", "")
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
        self.verdicts.append((mutant.file, verdict))
        m = mutant
        with self.table.open("a", newline="") as file:
            row = [m.file, m.line, m.inside, m.old, m.new, verdict, by, f"{seconds:.1f}"]
            csv.writer(file).writerow(row)

    def _measure(self, session: pytest.Session) -> Measured:
        """Run all tests once, in a process of its own; those that fail take no part."""
        found = Measured()
        lines, _ = _fork(lambda say: _measure_all(session, say), 3600)
        for line in lines:
            name, seconds, *touched = line.split("\t")
            if seconds == "failed":
                print(f"fails without any mutant: {name}", flush=True)
                continue
            found.seconds[name] = float(seconds)
            found.touched[name] = {
                (file, inside) for file, inside in (t.split("|") for t in touched)
            }
        return found


def _measure_all(session: pytest.Session, say) -> int:
    wing = str(ROOT / "gadlib")
    touched: set[tuple[str, str]] = set()

    def note(frame, event, _) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(wing):
            touched.add((code.co_filename, code.co_qualname.split(".<locals>")[0]))

    for item in session.items:
        touched.clear()
        started = time.monotonic()
        item.session.items = [item]
        threading.setprofile(note)
        sys.setprofile(note)
        run_tests(session)
        sys.setprofile(None)
        seconds = "failed" if session.testsfailed else f"{time.monotonic() - started:.3f}"
        say("\t".join([item.nodeid, seconds, *("|".join(t) for t in sorted(touched))]))
        session.testsfailed = 0
    return 0


def _try(
    session: pytest.Session, items: list, mutant: Mutant, functions, limit_s: float
) -> tuple[str, str]:
    """What became of a mutant, and the test that caught it."""

    class Told:
        def pytest_runtest_logreport(self, report):
            if report.failed:
                self.say(report.nodeid)

    def run(say) -> int:
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
    except BaseException:
        say(traceback.format_exc().replace("\n", " / "))
        return 4


def _chosen(options: argparse.Namespace) -> list[Mutant]:
    files = sorted((ROOT / "gadlib" / options.wing).rglob("*.py"))
    found = [mutant for file in files for mutant in mutants_of(file, ROOT)]
    print(f"{len(found)} mutants of {len(files)} files", flush=True)
    if options.again:
        rows = csv.DictReader(options.again.open())
        wanted = {(r["file"], r["old"], r["new"]) for r in rows if r["verdict"] not in CAUGHT}
        return [m for m in found if (m.file, m.old, m.new) in wanted]
    found = [m for m in found if options.only in m.file]
    drawn = random.Random(options.seed).sample(found, min(options.sample, len(found)))
    return sorted(drawn, key=lambda mutant: (mutant.file, mutant.line))


def _report(verdicts: list[tuple[str, str]]) -> None:
    counted = [(file, verdict) for file, verdict in verdicts if verdict != "not put"]
    for file in [*sorted({file for file, _ in counted}), ""]:
        of = [verdict for name, verdict in counted if file in ("", name)]
        n_caught = sum(verdict in CAUGHT for verdict in of)
        print(f"{n_caught:5d} of {len(of):5d} caught {n_caught / len(of):6.1%}  {file or 'all'}")
    print(f"not put: {len(verdicts) - len(counted)}")


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wing", help="a folder in gadlib/ and in tests/")
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", type=float, default=3.0, help="seconds a test may take")
    parser.add_argument("--only", default="", help="files with this in their names")
    parser.add_argument("--again", type=Path, help="a table, of which survivors are tried again")
    parser.add_argument("--tests", nargs="*", default=[], help="other tests than the wing's")
    options = parser.parse_args()
    name = f"{options.wing}{'_again' if options.again else ''}.csv"
    plugin = Mutation(options, _chosen(options), ROOT / "runs" / "mutation" / name)
    tests = options.tests or [f"tests/{options.wing}"]
    os.chdir(ROOT)
    flags = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:terminal", "--timeout=0", "-s"]
    pytest.main([*flags, *tests], plugins=[plugin])
    if plugin.verdicts:
        _report(plugin.verdicts)


if __name__ == "__main__":
    main()
