"""The share of mutants that the tests of a wing catch: `python tests/mutation/run.py hessians`.

mutmut makes the mutants, `forks` tries them. Where a wing has more than `--sample`, so many are
drawn with a fixed seed, and tried as they are drawn, so that a run that is broken off has tried a
fair sample, too. The table goes to runs/mutation/, the summary to the screen.
"""

import argparse
import csv
import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

from forks import CAUGHT, Mutant, Mutation, run  # noqa: E402
from mutants import mutants_of  # noqa: E402


def _chosen(options: argparse.Namespace) -> list[Mutant]:
    files = sorted((ROOT / "gadlib" / options.wing).rglob("*.py"))
    found = [mutant for file in files for mutant in mutants_of(file, ROOT)]
    print(f"{len(found)} mutants of {len(files)} files", flush=True)
    if options.again:
        rows = csv.DictReader(options.again.open())
        wanted = {(r["file"], r["old"], r["new"]) for r in rows if r["verdict"] not in CAUGHT}
        return [m for m in found if (m.file, m.old, m.new) in wanted]
    found = [m for m in found if options.only in m.file]
    return random.Random(options.seed).sample(found, min(options.sample, len(found)))


def _report(verdicts: list[tuple[Mutant, str]]) -> None:
    counted = [(m.file, verdict) for m, verdict in verdicts if verdict != "not put"]
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
    part = "_again" if options.again else f"_{options.only}".rstrip("_")
    name = f"{options.wing}{part}.csv"
    plugin = Mutation(_chosen(options), ROOT / "runs" / "mutation" / name, options.quick)
    run(plugin, options.tests or [f"tests/{options.wing}"])
    if plugin.verdicts:
        _report(plugin.verdicts)


if __name__ == "__main__":
    main()
