"""What the terminal says of each molecule as it ends, and of all of them at the end.

Nothing is computed here, and nothing printed by the searches themselves: they tell whoever listens
(`gadlib.progress.bar`).
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gadlib.cli.colour import Colour, painted
from gadlib.settings.reading import listed

_INDENT = "    "
_MOST_FOUND = 10


@contextlib.contextmanager
def told(*, quietly: bool) -> Iterator[Teller]:
    """Each search and path that ends inside is a line on the terminal; quietly none, nor a bar."""
    from gadlib.progress import bar

    teller = Teller(quietly)
    with bar.listening(teller.hear), bar.hidden() if quietly else contextlib.nullcontext():
        yield teller


class Teller:
    """Who prints what has ended: a heading where something else is done, then a line for each.

    Attributes:
        n: how many have ended of what is done now, since the last heading.
    """

    def __init__(self, quietly: bool) -> None:
        self.n = 0
        self._is_quiet, self._desc = quietly, "searching"

    def hear(self, ended: Any) -> None:
        """Print that this has ended, unless all is to be quiet."""
        if is_other := ended.desc not in (self._desc, "following"):
            self._desc, self.n = ended.desc, 0
        self.n += 1
        if not self._is_quiet:
            self._print(ended, with_heading=is_other)

    def _print(self, ended: Any, *, with_heading: bool) -> None:
        if with_heading:
            _say(f"{ended.desc}:")
        place = f"[{ended.n:>{len(str(ended.total))}}/{ended.total}]"
        line = search_line if hasattr(ended.result, "status") else path_line
        _say(f"{place} {line(ended.result)}")
        if reason := _reason(ended.result):
            _say(f"{_INDENT}{reason}")


def search_line(record: Any) -> str:
    """How a search ended, in a line: name, status, energy above the start, force, mode, cost."""
    colour = Colour.GREEN if record.converged else Colour.RED
    name_and_status = [
        f"{record.name:<16}",
        painted(f"{_words(record.status):<17}", colour, sys.stdout),
    ]
    if not record.n_gradient:
        return "  ".join([*name_and_status, "nothing was computed"])
    rise = None
    if record.energy is not None and record.energy_start is not None:
        rise = record.energy - record.energy_start
    is_up = bool(record.imaginary_cm1)
    parts = [
        *name_and_status,
        _number(rise, "+8.3f", "eV"),
        _number(record.fmax, "8.4f", "eV/A"),
        _number(record.imaginary_cm1 if is_up else None, "5.0f", "i cm-1" if is_up else "  cm-1"),
        f"{record.steps:>4} steps",
        f"{record.n_gradient:>5} gradients, {_counted(record.n_hessian, 'Hessian')}",
        _words(record.verdict),
    ]
    if record.proof:
        parts.append(f"proof: {record.proof}")
    return "  ".join(part for part in parts if part).rstrip()


def found_summary(records: Sequence[Any]) -> list[str]:
    """What saddles between known ends join, and what they cost, in lines."""
    found = [record for record in records if record.verdict]
    counts = Counter(record.verdict for record in found)
    told = ", ".join(f"{n} {_words(verdict)}" for verdict, n in counts.most_common())
    lines = [f"{len(records)} reactions: {told or 'no saddle followed downhill'}"]
    for record in records[:_MOST_FOUND]:
        for step in record.passed:
            lines.append(
                f"{record.name}: {_words(step.verdict)}; barrier {step.barrier:.3f} eV forth,"
                f" {step.barrier - step.reaction_energy:.3f} eV back; {step.change}"
            )
    if found:
        n = statistics.median(record.n_gradient for record in found)
        down = statistics.median(record.n_path_gradient for record in found)
        lines.append(f"median: {n:g} gradients for images and searches, {down:g} downhill")
    return lines


def path_line(path: Any) -> str:
    """What a saddle joins, in a line: name, verdict, the barriers from both ends, the bonds."""
    colour = Colour.RED if path.verdict in ("failed", "no reaction") else Colour.GREEN
    back = None
    if path.barrier is not None and path.reaction_energy is not None:
        back = path.barrier - path.reaction_energy
    parts = [
        f"{path.name:<16}",
        painted(f"{path.verdict:<14}", colour, sys.stdout),
        _number(path.barrier, "7.3f", "eV forth"),
        _number(back, "7.3f", "eV back"),
        path.change,
    ]
    return "  ".join(parts).rstrip()


def _reason(result: Any) -> str:
    """Why it failed, in sentences, with what its tries came to; empty where it did not."""
    if hasattr(result, "status"):
        is_done = result.converged and result.verdict in ("", "intended")
    else:
        is_done = result.verdict != "failed"
    if is_done:
        return ""
    given_up = Counter(_words(each.ending) for each in getattr(result, "tries", ())[:-1])
    counted = ", ".join(f"{ending} {n}" for ending, n in given_up.most_common())
    message = " ".join(result.message.split())  # what foreign code raises may have lines
    return message + (f" Tries given up: {counted}." if counted else "")


def _further(records: Sequence[Any]) -> list[str]:
    """What portfolios came to, in a line; none where no second start was searched from."""
    again = [r for r in records if len(r.searches) > 1]
    n_met = sum(r.converged for r in again)
    whence = Counter(one.start for r in again if r.converged for one in r.searches if one.is_kept)
    told = f" ({', '.join(f'{n} from {of}' for of, n in whence.most_common())})" if n_met else ""
    line = f"searched from further starts: {len(again)}; {n_met} of them meet the criterion{told}"
    return [line] if again else []


def searches_summary(records: Sequence[Any], out: Path, *, n_told: int) -> list[str]:
    """What came of searches, in lines: statuses and criteria counted, medians, the files.

    Args:
        records: of all of them.
        out: where they are.
        n_told: how many have ended in this run; the others were done before.
    """
    from gadlib.screening.atoms import beside
    from gadlib.screening.records import judged
    from gadlib.solver.state import Status

    counted = Counter(_words(r.status) for r in records).most_common()
    bad = [f"{r.name}: {r.message}" for r in records if r.status == Status.BAD_START]
    lines = [f"{len(bad)} of {len(records)} starts were not searched: {listed(bad)}"] if bad else []
    n_before = len(records) - n_told
    lines += [
        f"{len(records)} {'search' if len(records) == 1 else 'searches'}:"
        f" {', '.join(f'{n} {status}' for status, n in counted)}"
        + (f"; {n_before} of them done before" if n_before else "")
    ]
    n_met = {name: sum(r.meets(name) for r in records) for name in judged(records)}
    told = {name: f"{name} {n}/{len(records)}" for name, n in n_met.items()}
    if n_met["bound"]:
        told["bound"] += f" ({sum(bool(r.near) for r in records)} near)"
    lines += [", ".join(told.values()), *_further(records)]
    if n_down := sum(r.n_path_gradient for r in records):
        lines += [f"downhill, apart: {_counted(n_down, 'gradient')}"]
    if done := [r for r in records if r.converged]:
        steps, gradients, hessians, seconds = (
            statistics.median(getattr(r, name) for r in done)
            for name in ("steps", "n_gradient", "n_hessian", "elapsed_s")
        )
        lines += [
            f"median of those that met the criterion: {_counted(steps, 'step')},"
            f" {_counted(gradients, 'gradient')}, {_counted(hessians, 'Hessian')}, {seconds:.2g} s"
        ]
    elapsed, called = (sum(getattr(r, n) for r in records) for n in ("elapsed_s", "calculator_s"))
    steps = sum(r.steps for r in records)
    if steps and elapsed:
        lines += [
            f"{steps} steps, {1000 * elapsed / steps:.1f} ms each,"
            f" {100 * (1 - called / elapsed):.1f} % of it outside the calculator"
        ]
    lines += [f"records: {out}"]
    return [*lines, f"geometries: {beside(out)}"] if beside(out).exists() else lines


def _words(name: str) -> str:
    """A word of a record without underscores."""
    return name.replace("_", " ")


def _counted(n: float, noun: str) -> str:
    return f"{n:g} {noun}{'' if n == 1 else 's'}"


def _number(value: float | None, form: str, unit: str) -> str:
    """A number with its unit, as wide without it."""
    width = int(form.lstrip("+").partition(".")[0])
    shown = "-".rjust(width) if value is None else format(value, form)
    return f"{shown}{'' if unit.startswith(('i', ' ')) else ' '}{unit}"


def _say(line: str) -> None:
    """Print a line above the bars; where nobody reads any more, what is done goes on in silence."""
    from tqdm.auto import tqdm

    try:
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
