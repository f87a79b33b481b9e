"""The samples of a study: the difficult reactions of a set, from a screening read or done now."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gadlib.files.locks import in_turn
from gadlib.files.shapes import ResultFile
from gadlib.molecules.reactions import drawn, seed_of, split_names
from gadlib.molecules.starting_points import Start
from gadlib.molecules.starting_points import starts as transition_states
from gadlib.screening.records import Record, read_results
from gadlib.screening.references import Key, key_of, reference_plan
from gadlib.screening.screen import (
    difficulty,
    intended_starts,
    key,
    require_same,
    screen,
    select_difficult,
)
from gadlib.screening.setup import describe_sample, reactions_of, starts_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ScreenSettings
from gadlib.settings.studies import TuneSettings
from gadlib.tuning.choices import STARTS, choices_in


def difficult_samples(settings: TuneSettings) -> tuple[list[Record], list[Start]]:
    """All screening records, and the starting points of the difficult ones, hardest first.

    Those that a trial takes come before all others.

    The screening is read from `settings.screening`, or done now (and resumed) in the output folder.

    Raises:
        InputError: when the screening was made with other settings, or has fewer reactions than a
            trial takes.
    """
    wanted = _screening_of(settings)
    if settings.screening is None:
        starts = starts_of(wanted)
        _require_enough(settings, sum(not start.problem for start in starts))
        if note := describe_sample(wanted):
            print(note, flush=True)
        out = Path(settings.out_dir) / "screening.json"
        with in_turn(out.with_name(f".{out.name}.lock")):  # other workers wait, and find it done
            starts = intended_starts(wanted, starts, out)
            _require_enough(settings, len(starts))
            records = screen(wanted, starts=starts, out=out)
    else:
        records = require_screening(settings)[1]
        starts = starts_of(_widest(settings))
        wanted_splits = split_names(settings.split)
        records = [r for r in records if r.split in wanted_splits]
        seed = seed_of(settings.sample, settings.sample_seed)
        records = [records[i] for i in drawn(len(records), settings.max_samples, seed)]
        _require_enough(settings, len(records))
    by_key = {key(start): start for start in starts}
    hardest = select_difficult(records, settings, settings.n_samples)
    _require_enough(settings, len(hardest))
    missing = [r.name for r in hardest if key(r) not in by_key]
    if missing:
        raise InputError(
            f"{settings.screening}: {settings.h5_path or 'the embedded set'} has no {missing[0]}"
            f" in split {settings.split!r}; expected a screening of these reactions"
        )
    if settings.trial_samples == "strata":
        generator = np.random.default_rng(settings.sample_seed)
        chosen = _one_of_each(hardest, settings.n_samples, generator)
        names = {key(record) for record in chosen}
        chosen.sort(key=difficulty, reverse=True)
        hardest = [*chosen, *(r for r in hardest if key(r) not in names)]
    return records, [by_key[key(r)] for r in hardest]


def easy_samples(
    settings: TuneSettings,
    screened: Sequence[Record],
    used: Sequence[Start],
    names: Sequence[str] | None = None,
) -> list[Start]:
    """Where searches of easy reactions begin, which trials are watched by and not scored.

    They are of those that the screening solved and the trials are not scored by, evenly over their
    difficulty, so that they are the same whatever is drawn. With few of them there are fewer.

    Args:
        settings: of the study.
        screened: what the screening found.
        used: what trials are scored by.
        names: of those that a study has already; None: to be chosen.
    """
    n = n_easy(settings) if names is None else len(names)
    if not n or not screened:
        return []
    seen = {key(start) for start in used}
    by_key = {key(start): start for start in starts_of(_widest(settings))}
    free = [r for r in screened if key(r) in by_key and key(r) not in seen and r.converged]
    free.sort(key=lambda record: (difficulty(record), record.name))
    if names is not None:
        return [by_key[key(r)] for name in names for r in free if r.name == name]
    edges = np.linspace(0, len(free), min(n, len(free)) + 1)
    return [by_key[key(free[int((low + high) / 2)])] for low, high in pairwise(edges)]


def n_easy(settings: TuneSettings) -> int:
    """How many easy samples a trial has."""
    return int(settings.easy_share * settings.n_samples + 1e-9)


def fresh_samples(
    settings: TuneSettings,
    screened: Sequence[Record],
    used: Sequence[Start],
    names: Sequence[str] = (),
) -> list[Start]:
    """The starting points of a race: of screened reactions that no trial has seen.

    They are drawn with the study's seed, one from each of as many strata of difficulty and of size,
    and come in an order of their own, so that a part of them is easy and difficult alike.

    Args:
        settings: of the study.
        screened: what the screening found.
        used: what trials have searched.
        names: of those that the study has raced on; with as many as are asked for they stay.

    Raises:
        InputError: when there are none.
    """
    seen = {key(start) for start in used}
    by_key = {key(start): start for start in starts_of(_widest(settings))}
    free = [r for r in screened if key(r) in by_key and key(r) not in seen and r.n_gradient]
    if not free:
        raise InputError(
            f"n_race {settings.n_race}: the trials have seen all {len(used)} reactions that were"
            " screened; expected more max_samples, or a smaller n_samples"
        )
    n, generator = min(settings.n_race, len(free)), np.random.default_rng(settings.seed)
    if len(names) == n and {*names} <= {r.name for r in free}:
        return [by_key[key(r)] for name in names for r in free if r.name == name]
    chosen = _one_of_each(free, n, generator)
    if n < settings.n_race:
        print(f"The race has {n} reactions: no others were screened and not seen.", flush=True)
    return [by_key[key(chosen[row])] for row in generator.permutation(n)]


def _one_of_each(records: Sequence[Record], n: int, generator: np.random.Generator) -> list[Record]:
    """One record from each of `n` strata of difficulty and of size."""
    apart = _by_strata(records, n)
    edges = np.linspace(0, len(apart), n + 1).astype(int)
    return [apart[int(generator.integers(low, high))] for low, high in pairwise(edges)]


def _by_strata(records: Sequence[Record], n: int) -> list[Record]:
    """In an order of which `n` equal parts are alike in difficulty and in size.

    About as many bands of difficulty as each has parts by its atoms, up and down in turn, so that
    neighbours of two bands are alike, too.
    """
    rising = sorted(records, key=difficulty)
    n_bands = max(1, round(n**0.5))
    edges = np.linspace(0, len(rising), n_bands + 1).astype(int)
    found: list[Record] = []
    for place, (low, high) in enumerate(pairwise(edges)):
        band = rising[low:high]
        found += sorted(band, key=lambda r: len(r.atomic_numbers), reverse=place % 2 == 1)
    return found


def from_other_recipes(settings: TuneSettings, samples: Sequence[Start]) -> dict[str, list[Start]]:
    """By each other recipe that trials may choose where searches of the same reactions begin.

    They come in the order of the samples, so that trials are compared reaction by reaction.

    Raises:
        InputError: when a recipe can't be used with the set.
    """
    found = {}
    for recipe in choices_in(settings).get(STARTS, ()):
        if recipe != settings.start_from:
            plan = _widest(settings).model_copy(update={STARTS: recipe})
            known = {_reaction(start): start for start in starts_of(plan)}
            found[recipe] = [known[_reaction(sample)] for sample in samples]
    return found


def _reaction(start: Start) -> tuple[Any, ...]:
    return start.name, start.formula, start.split, start.charge, start.multiplicity


def _widest(settings: TuneSettings) -> ScreenSettings:
    """The settings of the screening, of all reactions that it was made of."""
    wanted = _screening_of(settings)
    if settings.screening is None:
        return wanted
    before, _ = require_screening(settings)
    return wanted.model_copy(update=_choice(before.settings, settings.screening))


def with_references(
    settings: TuneSettings, samples: Sequence[Start], out: Path
) -> tuple[list[Start], dict[Key, Record]]:
    """The samples whose reactions' own saddle is found on this potential, and these saddles.

    They are searched from the reference transition states, and kept in the file `out`.

    Raises:
        InputError: when none is left.
    """
    wanted = {key_of(sample) for sample in samples}
    own = [s for s in transition_states(reactions_of(settings), "ts") if key_of(s) in wanted]
    with in_turn(out.with_name(f".{out.name}.lock")):
        plan = reference_plan(settings, check_ends=False)
        records = screen(plan, starts=own, out=out, desc="searching, reference")
    found = {key_of(record): record for record in records if record.bound}
    kept = [sample for sample in samples if key_of(sample) in found]
    if len(kept) < len(samples):
        lost = (
            f"{len(samples) - len(kept)} of {len(samples)} samples are left out: the saddle of"
            " their reaction is not found on this potential from the reference transition state"
        )
        if not kept:
            raise InputError(f"objective recovered: {lost}; expected one that is")
        print(f"{lost}.", flush=True)
    return kept, found


def _screening_of(settings: TuneSettings) -> ScreenSettings:
    return ScreenSettings.read(
        {name: getattr(settings, name) for name in ScreenSettings.model_fields}
        | {"n_steps_per_sample": settings.screening_steps, "hyperparameters": {}, "resume": True}
    )


def require_screening(settings: TuneSettings) -> tuple[ResultFile, list[Record]]:
    """The screening that the settings name, made as they would make it now.

    Raises:
        InputError: when it can't be read, or was made with other settings.
    """
    assert settings.screening is not None
    before, records = read_results(settings.screening)
    require_same(before, _screening_of(settings), settings.screening)
    _choice(before.settings, settings.screening)
    return before, records


def _choice(before: dict[str, Any], where: str) -> dict[str, Any]:
    """Of which reactions a screening was made, from its settings.

    Raises:
        InputError: when they don't say it.
    """
    names = ("split", "max_samples", "sample", "sample_seed")
    earlier = {"sample": "first", "sample_seed": 0}  # as it was before there was a choice
    try:
        asked = ScreenSettings.read({n: (earlier | before)[n] for n in names})
    except (KeyError, InputError) as error:
        raise InputError(
            f"{where}: settings: {error}; expected those of a screening, with split and max_samples"
        ) from None
    return {name: getattr(asked, name) for name in names}


def _require_enough(settings: TuneSettings, n: int) -> None:
    if settings.n_samples > n:
        raise InputError(
            f"n_samples {settings.n_samples}: larger than the set,"
            f" expected at most {n} (split {settings.split!r})"
        )
