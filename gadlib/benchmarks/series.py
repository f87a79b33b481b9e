"""Several suites, one after the other, each in a folder of its own, for one table of all.

What a suite lacks here, a file, a package or Sella, is said in a sentence, and the others are run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gadlib.benchmarks import sella, solvers
from gadlib.benchmarks.solvers import Results
from gadlib.benchmarks.suites import lacks_file
from gadlib.calculators import ase
from gadlib.calculators.registry import KINDS
from gadlib.settings.benchmarks import BenchmarkSettings
from gadlib.settings.reading import InputError


class Part(NamedTuple):
    """One suite of several.

    Attributes:
        settings: its own.
        potential: in a word or two.
        results: what was measured.
    """

    settings: BenchmarkSettings
    potential: str
    results: Results


def compare_suites(settings: BenchmarkSettings) -> Iterator[Part]:
    """The suites that are asked for and can be run, as they end.

    Nothing is computed before all of them are known to be in order. Interrupted, they go on from
    what is in their folders, with `settings.resume`.

    Raises:
        InputError: when the settings can't be followed, no suite can be run, or there are results
            which `resume` does not allow to continue.
    """
    parts = _usable(settings)
    for part in parts:
        solvers.plans_of(part)
    for place, part in enumerate(parts, 1):
        print(f"\nsuite {place} of {len(parts)}: {part.suite}", flush=True)
        yield Part(part, potential_of(part), solvers.compare(part))


def potential_of(settings: BenchmarkSettings) -> str:
    """The potential in a word or two: its method, else what it is."""
    kind = KINDS.get(settings.calculator)
    detail = kind.detail if kind is not None else ""
    name = str(getattr(settings, detail) if detail else settings.calculator)
    return str(settings.ase_options.get("method", name)) if kind is ase.KIND else name


def _usable(settings: BenchmarkSettings) -> list[BenchmarkSettings]:
    """The settings of the suites that can be run; a sentence is printed on what can't."""
    kept, reasons = [], []
    for name in settings.suites:
        part = settings.of_suite(name)
        kind = KINDS.get(part.calculator)
        missing = [lacks_file(part), *(kind.missing(part) if kind else ())]
        part, told = _without_missing_peers(part)
        reason = "; ".join(filter(None, missing)) or ("" if part.solvers else told)
        if reason:
            reasons.append(f"suite {name} is left out: {reason}")
            continue
        kept.append(part)
        reasons.append(told and f"suite {name}: {told}")
    print("\n".join(filter(None, reasons)), flush=True)
    if not kept:
        raise InputError(f"suite {settings.suite}: none can be run; {'; '.join(reasons)}")
    return kept


def _without_missing_peers(part: BenchmarkSettings) -> tuple[BenchmarkSettings, str]:
    """The settings without the peers whose package is missing, and a sentence on these."""
    names = [name.strip() for name in part.solvers.split(",")]
    try:
        sella.require_installed()
    except InputError as error:
        own = [name for name in names if name not in sella.PEERS]
        told = "" if own == names else str(error)
        return part.model_copy(update={"solvers": ",".join(own)}), told
    return part, ""
