"""Portfolios: a reaction searched from one start after the other, until a search has succeeded.

All reactions are searched from their first starts, those of which no search has met the criterion
from their second ones, and so on, so that each turn is a batch. Who searches is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gadlib.molecules.starting_points import Start
from gadlib.screening.nearness import far_sentence
from gadlib.screening.records import Record, Searched

if TYPE_CHECKING:
    from gadlib.screening.jobs import Job

SUMMED = (
    *("steps", "escapes", "n_energy", "n_gradient", "n_hessian", "elapsed_s", "calculator_s"),
    *("n_image", "n_end", "n_path_gradient", "n_path_hessian"),
)
"""What the record of a portfolio has of all its searches: all that they cost."""

Search = Callable[["Job", Sequence[int]], Iterator[tuple[int, Record]]]
"""What searches a job from its starts, each one by itself, and is told their places in the whole:
the places in the job and the records, as they come."""


def search_in_turn(
    job: Job, search: Search, is_over: Callable[[], bool] = lambda: False
) -> Iterator[tuple[int, Record]]:
    """The place of each start and its record, as they are known.

    Args:
        job: whose starts may be portfolios.
        search: what searches one turn of it.
        is_over: whether no search is to begin any more.

    Raises:
        ValueError: when searches of a portfolio are to rest.
    """
    if job.rest_after is not None and any(start.further for start in job.starts):
        raise ValueError("searches of a portfolio can't rest; expected one start of each")
    found: dict[int, list[Record]] = {}
    left, turn = [*range(len(job.starts))], 0
    while left:
        places, left = left, []
        part = job.part(places)
        part = replace(part, starts=tuple(start.each[turn] for start in part.starts))
        for i, record in search(part, places):
            start, records = job.starts[places[i]], found.setdefault(places[i], [])
            records.append(record)
            if is_over() or is_decided(start, records):
                yield places[i], joined(start, records)
            else:
                left.append(places[i])
        if is_over():
            for place in left:
                yield place, joined(job.starts[place], found[place])
            return
        left, turn = sorted(left), turn + 1


def is_decided(start: Start, records: Sequence[Record]) -> bool:
    """Whether no search is left to make after these: one has succeeded, or there is no start."""
    return records[-1].converged or len(records) == len(start.each)


def joined(start: Start, records: Sequence[Record]) -> Record:
    """The one record of a portfolio: that of the search that met the criterion, the last one.

    Where none did, of the search whose last point meets most criteria, then of one that could be
    computed, then of the first: starts are named in the order in which they are trusted. What
    searches cost it has of all of them.

    Args:
        start: with all its starts.
        records: of the searches that were made, in order.
    """
    if not start.further:
        return records[0]
    place = max(range(len(records)), key=lambda i: _rank(records[i]))
    kept = records[place]
    told = far_sentence(kept)
    message = f"{kept.message.removesuffix(told).strip()} {_sentence(start, records, place)} {told}"
    spent = {name: sum(getattr(record, name) for record in records) for name in SUMMED}
    seconds = {name: round(spent[name], 6) for name in ("elapsed_s", "calculator_s")}
    return replace(
        kept,
        start=start.start,
        noise_seed=start.noise_seed,
        message=" ".join(message.split()),
        searches=[_searched(record, is_kept=record is kept) for record in records],
        **{**spent, **seconds},
    )


def _rank(record: Record) -> tuple[bool, int, bool]:
    n_met = sum(met is True for met in record.criteria.values())
    return record.converged, n_met, record.energy is not None


def _searched(record: Record, *, is_kept: bool) -> Searched:
    names = ("start", "status", "steps", "n_gradient", "n_hessian")
    return Searched(**{name: getattr(record, name) for name in names}, is_kept=is_kept)


def _sentence(start: Start, records: Sequence[Record], place: int) -> str:
    """Where the record's search began and what became of the others; empty where it was the first.

    It names no numbers, so that searches that ended alike are counted together.
    """
    own, n = records[place].start, len(records)
    if not records[place].converged:
        return f"None of its {n} searches met the criterion; this is the one from {own}."
    if not place:
        return ""
    failed = " and ".join(record.start for record in records[:place])
    return f"It began from {own}, as the search from {failed} had failed."


def kept_start(start: Start, record: Record) -> Start:
    """Where the search began that a record is of: of a portfolio that of its starts."""
    places = [place for place, one in enumerate(record.searches) if one.is_kept]
    return start.each[places[0] if places else 0]
