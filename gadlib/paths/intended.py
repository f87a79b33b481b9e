"""Where saddles lead, and whether that is to the reactant and product that are known, if any are.

Ends are compared by their bonds, as graphs; where reactant and product have the same bonds, by
their shape as well. A saddle that cannot be followed is a record with a reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gadlib import calculators
from gadlib.evaluation import Calculator
from gadlib.files.kept import Kept
from gadlib.files.locks import sole
from gadlib.files.writing import require_writable
from gadlib.molecules import reactions, starting_points
from gadlib.molecules.endpoints import Connection
from gadlib.molecules.reactions import Reaction
from gadlib.paths.atoms import ENDS, write_paths
from gadlib.paths.comparison import compare_path, measure_reference
from gadlib.paths.inherited import inherit_cheap, is_result_file
from gadlib.paths.records import FORMAT, SHARED, PathRecord, read_paths
from gadlib.paths.references import Known, OwnEnds
from gadlib.paths.thermochemistry import Conditions
from gadlib.progress import signs_of_life
from gadlib.progress.bar import Bar, Ended, tell
from gadlib.progress.signs_of_life import Told
from gadlib.screening import remembered
from gadlib.screening.atoms import require_room
from gadlib.screening.inherited import inherit_calculator
from gadlib.screening.records import Record, read_records, versions
from gadlib.settings.reading import InputError, listed
from gadlib.settings.results import PathSettings
from gadlib.solver.downhill import irc
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

References = Sequence[Reaction] | OwnEnds
"""What saddles are compared with: reactions, found by their names, or one for all of them."""

_USUAL = Conditions()
_NOT_FOLLOWED = "The path could not be followed: "


def follow(settings: PathSettings) -> list[PathRecord]:
    """What the saddles that the settings name join; written to `paths.json` in the output folder.

    The calculator is that of the result file of the saddles where the settings give none.

    Raises:
        InputError: when the settings can't be followed, or there are results and `resume` is not
            set.
    """
    if settings.records is not None and is_result_file(settings.records):
        earlier, _ = read_records(settings.records)
        path = settings.records
        settings = inherit_cheap(inherit_calculator(settings, earlier, path), earlier, path)
    own = OwnEnds.read(settings.reactant, settings.product)
    known = reactions.read(
        settings.h5_path,
        split=settings.split,
        **settings.electrons,
    )
    seed = reactions.seed_of(settings.sample, settings.sample_seed)
    records = _saddles(settings, known)
    records = [records[i] for i in reactions.drawn(len(records), settings.max_samples, seed)]
    if own is not None:
        for record in records:
            own.placed_for(record)  # refused before anything is computed
    out = require_writable(settings.out_dir) / "paths.json"
    with sole(out):
        return _run(settings, records, known if own is None else own, out)


def _run(
    settings: PathSettings, records: Sequence[Record], known: References, out: Path
) -> list[PathRecord]:
    if out.exists() and not settings.resume:
        raise InputError(
            f"{out} exists; resume it (--resume) or choose another output, nothing is overwritten"
        )
    require_room(out, out.with_name(ENDS))
    done = {_key(path): path for path in (read_paths(out) if out.exists() else [])}
    todo = [record for record in records if _key(record) not in done]
    try:
        calculator = remembered.build(settings)
    except (ValueError, ImportError) as error:
        raise InputError(str(error)) from None
    if settings.cheap != "none":
        calculator = calculators.pair(calculator, settings.cheap, todo, settings)
    todo, lost = _usable(calculator, todo)
    for n, path in enumerate(lost, start=1):
        tell(Ended(path, "left out", n, len(lost)))
    found: dict[int, PathRecord] = {}

    def paths() -> list[PathRecord]:
        return [*done.values(), *lost, *(found[i] for i in sorted(found))]

    about = {"format": FORMAT, "settings": settings.model_dump(), "versions": versions()}
    kept = Kept(out, lambda: about | {"paths": [asdict(path) for path in paths()]})
    kept.grown()
    each = follow_each(
        calculator,
        todo,
        known,
        batch_size=settings.batch_size,
        hessian_every=settings.hessian_every,
        n_steps=settings.n_steps,
        conditions=Conditions(settings.temperature, settings.pressure),
    )
    try:
        for place, path in each:
            found[place] = path
            kept.grown()
    finally:
        kept.write()
        write_paths(out, paths())
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
    lacking = calculators.lacking(calculator, records)
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
        PathRecord.failed(record, _NOT_FOLLOWED + reason)
        for record, reason in zip(records, reasons, strict=True)
        if reason
    ]
    return [r for r, reason in zip(records, reasons, strict=True) if not reason], lost


def _saddles(settings: PathSettings, known: Sequence[Reaction]) -> list[Record]:
    """The strict saddles of the result file, else as records those of the file or of the set."""
    path = settings.records
    if path is not None and is_result_file(path):
        return [record for record in read_records(path)[1] if record.strict]
    if path is None:
        starts, what = starting_points.starts(known, "ts"), "The reference."
    else:
        starts, what = starting_points.read_geometries(path, **settings.electrons), "As given."
    return [
        replace(
            Record.blank(start, Status.SADDLE, start.problem or what), criteria={"strict": True}
        )
        for start in starts
    ]


def follow_all(
    calculator: Calculator,
    records: Sequence[Record],
    known: References,
    *,
    batch_size: int = 8,
    hessian_every: int | None = None,
    n_steps: int = 400,
    conditions: Conditions = _USUAL,
) -> list[PathRecord]:
    """What each strict saddle among the records joins, in their order, with a progress bar.

    As `follow_each`, when all are done.
    """
    found = dict(
        follow_each(
            calculator,
            records,
            known,
            batch_size=batch_size,
            hessian_every=hessian_every,
            n_steps=n_steps,
            conditions=conditions,
        )
    )
    return [found[i] for i in range(len(found))]


def follow_each(
    calculator: Calculator,
    records: Sequence[Record],
    known: References,
    *,
    batch_size: int = 8,
    hessian_every: int | None = None,
    n_steps: int = 400,
    conditions: Conditions = _USUAL,
) -> Iterator[tuple[int, PathRecord]]:
    """The place of each strict saddle among the strict ones, and what it joins, as they end.

    Whatever fails, with one saddle, is a record of that. There is a progress bar.

    Args:
        calculator: the potential.
        records: of searches; those that are no strict saddle are left out.
        known: reactions of a set, found by split, formula and name, or the ends of the one reaction
            that all the saddles are compared with.
        batch_size: saddles that are followed together, each both ways.
        hessian_every: steps from one exact Hessian to the next.
        n_steps: steps at most, on each side.
        conditions: of the thermochemistry.
    """
    lookup = _lookup(known)
    strict = [r for r in records if r.strict]
    joining = 0
    with Bar(len(strict), "following", "saddle") as bar, signs_of_life.listening(Told(bar.live)):
        for first in range(0, len(strict), batch_size):
            part = strict[first : first + batch_size]
            for place, path, seconds in _follow_batch(calculator, part, hessian_every, n_steps):
                record = part[place]
                judged = _judge(calculator, record, path, lookup, conditions, seconds)
                joining += judged.verdict == Connection.INTENDED
                bar.ended(judged, intended=joining)
                yield first + place, judged


def _lookup(known: References) -> Callable[[Record], Known]:
    """What tells of each saddle the reaction that it is compared with."""
    if isinstance(known, OwnEnds):
        return known.for_saddle
    found = {(r.split, r.formula, r.name): Known.of(r) for r in known}
    return lambda record: found.get((record.split, record.formula, record.name), Known())


def _follow_batch(
    calculator: Calculator, records: Sequence[Record], hessian_every: int | None, n_steps: int
) -> Iterator[tuple[int, irc.Path | Exception, float]]:
    """The place of each saddle, its path or what failed with it alone, and its seconds."""
    places = set(range(len(records)))
    started, spent = time.perf_counter(), 0.0
    try:
        batch = Batch.of(records).to(getattr(calculator, "device", "cpu"))
        found = irc.follow_each(calculator, batch, hessian_every=hessian_every, n_steps=n_steps)
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
            for _, path, seconds in _follow_batch(
                calculator, [records[place]], hessian_every, n_steps
            ):
                yield place, path, seconds


def _judge(
    calculator: Calculator,
    record: Record,
    path: irc.Path | Exception,
    lookup: Callable[[Record], Known],
    conditions: Conditions,
    seconds: float,
) -> PathRecord:
    """The path beside what is known, or in words what failed with it."""
    seconds = round(seconds, 3)
    try:
        if isinstance(path, Exception):
            raise path
        if path.reasons:
            why = _NOT_FOLLOWED + path.reasons[0]
            return PathRecord.failed(record, why, seconds, path.calls)
        known = lookup(record)
        found = compare_path(path, record, known, conditions)
        found |= measure_reference(calculator, record, known)
        own = {name: getattr(record, name) for name in SHARED}
        return PathRecord(**own, **found, elapsed_s=seconds)
    except Exception as error:  # whatever fails costs one saddle its path, and no other
        why = f"{_NOT_FOLLOWED}{type(error).__name__}: {error}"
        return PathRecord.failed(record, why, seconds)
