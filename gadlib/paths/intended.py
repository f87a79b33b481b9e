"""Is it the right saddle? Its two ends against the reactant and product that are known.

Ends are compared by their bonds, as graphs; where reactant and product have the same bonds, by
their shape as well. A saddle that cannot be followed is a record with a reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import torch

from gadlib import calculators
from gadlib.batch import Batch
from gadlib.evaluation import Calculator, evaluate
from gadlib.files.kept import Kept
from gadlib.files.locks import sole
from gadlib.files.reading import read_json
from gadlib.files.shapes import PathsFile, fit, fit_all
from gadlib.files.writing import require_writable
from gadlib.hessians.normal_modes import spectrum
from gadlib.molecules import reactions, starting_points
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import bond_graph
from gadlib.molecules.descriptions import change_in_words, mode_in_words
from gadlib.molecules.reactions import Reaction
from gadlib.paths import irc
from gadlib.paths.endpoints import Verdict, judge, matches, ordered
from gadlib.progress import signs_of_life
from gadlib.progress.bar import Bar
from gadlib.progress.signs_of_life import Told
from gadlib.screening.records import Record, read_records, versions
from gadlib.settings.reading import InputError, listed
from gadlib.settings.results import PathSettings
from gadlib.solver.state import Status
from gadlib.units import frequency_cm1


@dataclass(frozen=True)
class PathRecord:
    """One saddle and what it joins; energies in eV, from the end that is more like the reactant.

    Attributes:
        name, formula, split, start: of the search that ended at the saddle.
        verdict: a `Verdict`, and `message` the same in a sentence.
        change: what happens to the bonds; `mode` what the climbed mode does.
        barrier, reaction_energy: from the end like the reactant; `imaginary_cm1` of the saddle.
        reference_change, reference_barrier, reference_reaction_energy, reference_cm1: the same of
            the reference geometries, as they are, with the same potential.
        saddle_rmsd, reactant_rmsd, product_rmsd: distances in A from the references, superposed,
            like atoms exchangeable, mirror images the same.
        travelled, energies: the profile: arc in amu^1/2 A, 0 at the saddle, and the energy above
            it.
        atomic_numbers, ends: the two minima, in A; `saddle` as it was sharpened.
        n_gradient, n_hessian: calculator calls on the way down.
        elapsed_s: wall time.
    """

    name: str
    formula: str
    split: str
    start: str
    verdict: str
    message: str
    change: str = ""
    mode: str = ""
    barrier: float | None = None
    reaction_energy: float | None = None
    imaginary_cm1: float | None = None
    reference_change: str = ""
    reference_barrier: float | None = None
    reference_reaction_energy: float | None = None
    reference_cm1: float | None = None
    saddle_rmsd: float | None = None
    reactant_rmsd: float | None = None
    product_rmsd: float | None = None
    travelled: list[float] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    atomic_numbers: list[int] = field(default_factory=list)
    saddle: list[list[float]] = field(default_factory=list)
    ends: list[list[list[float]]] = field(default_factory=list)
    n_gradient: int = 0
    n_hessian: int = 0
    elapsed_s: float = 0.0


def follow(settings: PathSettings) -> list[PathRecord]:
    """What the saddles that the settings name join; written to `paths.json` in the output folder.

    Raises:
        InputError: when the settings can't be followed, or there are results and `resume` is not
            set.
    """
    known = reactions.read(settings.h5_path, split=settings.split)
    seed = reactions.seed_of(settings.sample, settings.sample_seed)
    records = _saddles(settings, known)
    records = [records[i] for i in reactions.drawn(len(records), settings.max_samples, seed)]
    out = require_writable(settings.out_dir) / "paths.json"
    with sole(out):
        return _run(settings, records, known, out)


def _run(
    settings: PathSettings, records: Sequence[Record], known: Sequence[Reaction], out: Path
) -> list[PathRecord]:
    if out.exists() and not settings.resume:
        raise InputError(
            f"{out} exists; resume it (--resume) or choose another output, nothing is overwritten"
        )
    done = {_key(path): path for path in (read(out) if out.exists() else [])}
    todo = [record for record in records if _key(record) not in done]
    try:
        calculator = calculators.build(settings)
    except (ValueError, ImportError) as error:
        raise InputError(str(error)) from None
    todo, lost = _usable(calculator, todo)
    found: dict[int, PathRecord] = {}

    def paths() -> list[PathRecord]:
        return [*done.values(), *lost, *(found[i] for i in sorted(found))]

    about = {"settings": settings.model_dump(), "versions": versions()}
    kept = Kept(out, lambda: about | {"paths": [asdict(path) for path in paths()]})
    kept.grown()
    steps = {"hessian_every": settings.hessian_every, "n_steps": settings.n_steps}
    try:
        for place, path in followed(
            calculator, todo, known, batch_size=settings.batch_size, **steps
        ):
            found[place] = path
            kept.grown()
    finally:
        kept.write()
    return paths()


def _key(of: Record | PathRecord) -> tuple[str, str, str, str]:
    return of.split, of.formula, of.name, of.start


def _usable(
    calculator: Calculator, records: Sequence[Record]
) -> tuple[list[Record], list[PathRecord]]:
    """The saddles that can be followed, and of the others what is wrong with them.

    Raises:
        InputError: naming them, when there are saddles and none can be followed.
    """
    lacking = calculators.lacking(calculator, [np.array(r.atomic_numbers) for r in records])
    reasons = [
        reason if record.atomic_numbers else record.message
        for record, reason in zip(records, lacking, strict=True)
    ]
    if reasons and all(reasons):
        refusals = [
            f"{record.name}: {reason}" for record, reason in zip(records, reasons, strict=True)
        ]
        raise InputError(f"none of {len(refusals)} saddles can be followed: {listed(refusals)}")
    lost = [
        PathRecord(
            **{name: getattr(record, name) for name in _SHARED},
            verdict=Verdict.FAILED,
            message=f"The path could not be followed: {reason}",
        )
        for record, reason in zip(records, reasons, strict=True)
        if reason
    ]
    return [r for r, reason in zip(records, reasons, strict=True) if not reason], lost


def _saddles(settings: PathSettings, known: Sequence[Reaction]) -> list[Record]:
    """The strict saddles of the result file, or the reference saddles of the set as records."""
    if settings.records is not None:
        return [record for record in read_records(settings.records)[1] if record.strict]
    return [
        replace(
            Record.blank(start, Status.SADDLE, start.problem or "The reference."),
            criteria={"strict": True},
        )
        for start in starting_points.starts(known, "ts")
    ]


def follow_all(
    calculator: Calculator,
    records: Sequence[Record],
    known: Sequence[Reaction],
    *,
    batch_size: int = 8,
    hessian_every: int = 5,
    n_steps: int = 400,
) -> list[PathRecord]:
    """What each strict saddle among the records joins, in their order, with a progress bar.

    As `followed`, when all are done.
    """
    strict = [r for r in records if r.strict]
    steps = {"hessian_every": hessian_every, "n_steps": n_steps}
    found = dict(followed(calculator, strict, known, batch_size=batch_size, **steps))
    return [found[i] for i in range(len(strict))]


def followed(
    calculator: Calculator,
    records: Sequence[Record],
    known: Sequence[Reaction],
    *,
    batch_size: int = 8,
    hessian_every: int = 5,
    n_steps: int = 400,
) -> Iterator[tuple[int, PathRecord]]:
    """The place of each strict saddle among the strict ones, and what it joins, as they end.

    Whatever fails, with one saddle, is a record of that. There is a progress bar.

    Args:
        calculator: the potential.
        records: of searches; those that are no strict saddle are left out.
        known: the reactions with their references, found by split, formula and name.
        batch_size: saddles that are followed together, each both ways.
        hessian_every: steps from one exact Hessian to the next.
        n_steps: steps at most, on each side.
    """
    references = {(r.split, r.formula, r.name): r for r in known}
    strict = [r for r in records if r.strict]
    joining = 0
    with Bar(len(strict), "following", "saddle") as bar, signs_of_life.listening(Told(bar.live)):
        for first in range(0, len(strict), batch_size):
            part = strict[first : first + batch_size]
            for place, path, seconds in _paths(calculator, part, hessian_every, n_steps):
                record = part[place]
                reaction = references.get((record.split, record.formula, record.name))
                judged = _soundly_judged(calculator, record, path, reaction, seconds)
                joining += judged.verdict == Verdict.INTENDED
                bar.done(intended=joining)
                yield first + place, judged


def _paths(
    calculator: Calculator, records: Sequence[Record], hessian_every: int, n_steps: int
) -> Iterator[tuple[int, irc.Path | Exception, float]]:
    """The place of each saddle, its path or what failed with it alone, and its seconds."""
    places = set(range(len(records)))
    started, spent = time.perf_counter(), 0.0
    try:
        batch = Batch.pack(
            [np.array(r.positions) for r in records], [r.atomic_numbers for r in records]
        )
        batch = batch.to(getattr(calculator, "device", "cpu"))
        found = irc.followed(calculator, batch, hessian_every=hessian_every, n_steps=n_steps)
        for place, path in found:
            places.remove(place)
            share = (time.perf_counter() - started - spent) / (len(places) + 1)
            spent += share
            yield place, path, share
    except Exception as error:  # whatever fails costs one saddle its path, and no other
        if len(records) == 1:
            yield 0, error, time.perf_counter() - started
            return
        for place in sorted(places):
            for _, path, seconds in _paths(calculator, [records[place]], hessian_every, n_steps):
                yield place, path, seconds


def _soundly_judged(
    calculator: Calculator,
    record: Record,
    path: irc.Path | Exception,
    reaction: Reaction | None,
    seconds: float,
) -> PathRecord:
    """The judged path, or in words what failed with it."""
    error: Exception
    if isinstance(path, Exception):
        error = path
    else:
        try:
            return _judged(calculator, record, path, reaction, seconds)
        except Exception as failure:  # as above
            error = failure
    why = f"The path could not be followed: {type(error).__name__}: {error}"
    about = {name: getattr(record, name) for name in _SHARED}
    return PathRecord(**about, verdict=Verdict.FAILED, message=why, elapsed_s=round(seconds, 3))


def _judged(
    calculator: Calculator,
    record: Record,
    path: irc.Path,
    reaction: Reaction | None,
    seconds: float,
) -> PathRecord:
    about: dict[str, Any] = {name: getattr(record, name) for name in _SHARED}
    about |= {"elapsed_s": round(seconds, 3)}
    if reaction is None:
        why = "The set of reactions has none of that name, so nothing is known to compare with."
        return PathRecord(**about, verdict=Verdict.FAILED, message=why)
    reasons = [path.message, *(leg.message for leg in path.legs)]
    if any(reasons):
        why = f"The path could not be followed: {next(filter(None, reasons))}"
        return PathRecord(**about, verdict=Verdict.FAILED, message=why)
    return PathRecord(**about, **_compared(path, reaction), **_reference(calculator, reaction))


_SHARED = ("name", "formula", "split", "start")


def _compared(path: irc.Path, reaction: Reaction) -> dict[str, Any]:
    numbers = reaction.atomic_numbers
    ends = [leg.positions[-1].cpu().numpy() for leg in path.legs]
    known = [reaction.reactant, reaction.product]
    graphs = [_graph(numbers, p) for p in ends]
    references = [_graph(numbers, p) for p in known]
    far = np.array([[rmsd(numbers, p, q, with_mirror=True) for q in known] for p in ends])
    is_like = matches(graphs, references, far)
    order = ordered(is_like, far)
    legs = [path.legs[i] for i in order]
    graphs = [graphs[i] for i in order]
    verdict, message = judge(is_like[order], graphs, references)
    travelled, energies = _profile(path, legs)
    saddle = path.positions.cpu().numpy()
    return {
        "verdict": verdict,
        "message": message,
        "change": change_in_words(*graphs),
        "mode": mode_in_words(_graph(numbers, saddle), saddle, path.mode.cpu().numpy()),
        "barrier": path.energy - float(legs[0].energy[-1]),
        "reaction_energy": float(legs[1].energy[-1] - legs[0].energy[-1]),
        "imaginary_cm1": -frequency_cm1(path.eigenvalue),
        "saddle_rmsd": rmsd(numbers, saddle, reaction.transition_state, with_mirror=True),
        "reactant_rmsd": float(far[order[0], 0]),
        "product_rmsd": float(far[order[1], 1]),
        "travelled": travelled,
        "energies": energies,
        "atomic_numbers": numbers.tolist(),
        "saddle": saddle.tolist(),
        "ends": [ends[i].tolist() for i in order],
        "n_gradient": sum(leg.n_gradient for leg in legs),
        "n_hessian": sum(leg.n_hessian for leg in legs),
    }


def _profile(path: irc.Path, legs: Sequence[irc.Leg]) -> tuple[list[float], list[float]]:
    """The arc from the reactant's side to the product's, and the energy above the saddle's."""
    back, on = legs
    travelled = torch.cat([-back.travelled.flip(0), on.travelled[1:]])
    energies = torch.cat([back.energy.flip(0), on.energy[1:]]) - path.energy
    return travelled.round(decimals=4).tolist(), energies.round(decimals=6).tolist()


def _reference(calculator: Calculator, reaction: Reaction) -> dict[str, Any]:
    """Barrier, reaction energy and imaginary frequency of the reference geometries as they are."""
    numbers = reaction.atomic_numbers
    points = [reaction.reactant, reaction.transition_state, reaction.product]
    batch = Batch.pack(points, [numbers] * 3).to(getattr(calculator, "device", "cpu"))
    found, _ = evaluate(calculator, batch, hessian=True)
    change = change_in_words(_graph(numbers, points[0]), _graph(numbers, points[2]))
    if found.failures or found.hessian is None:
        return {"reference_change": change}
    reactant, saddle, end = found.energy.tolist()
    lowest = float(spectrum(found.hessian, batch).eigenvalues[1, 0])
    return {
        "reference_change": change,
        "reference_barrier": saddle - reactant,
        "reference_reaction_energy": end - reactant,
        "reference_cm1": -frequency_cm1(lowest),
    }


def _graph(numbers: np.ndarray, positions: np.ndarray) -> nx.Graph:
    return bond_graph(Batch.pack([positions], [numbers]))


def read(path: str | Path) -> list[PathRecord]:
    """What an earlier run wrote.

    Raises:
        InputError: when it is missing, or no such file.
    """
    expected = "an object with paths, as `gadlib irc` writes it"
    return fit_all(
        PathRecord, fit(PathsFile, read_json(path), path, expected=expected).paths, path, "paths"
    )
