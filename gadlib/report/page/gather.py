"""Results brought together for a page: what is missing becomes a note on it, not an end."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import optuna

from gadlib.cluster.urls import without_password
from gadlib.files.writing import write_bytes
from gadlib.paths.records import read_paths
from gadlib.report.page.document import Material, page
from gadlib.report.searches.screening import Screened, screened_in
from gadlib.screening.records import Record, read_records
from gadlib.settings.reading import InputError, without_secrets
from gadlib.settings.results import ReportSettings
from gadlib.settings.searches import SearchSettings
from gadlib.tuning.study import load

T = TypeVar("T")


def write_page(settings: ReportSettings, arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """The page, written, and notes on what is not in it.

    Args:
        settings: what goes into it.
        arguments: the command line that asked for it, which the page shows.

    Raises:
        InputError: when there is nothing to show, or the page is there and `resume` is not set.
    """
    out = Path(settings.out)
    if out.exists() and not settings.resume:
        raise InputError(f"{out} exists: replace it with --resume, or choose another --out")
    arguments = without_passwords(arguments)
    material = gather(settings, f"python -m gadlib {shlex.join(arguments)}")
    return write_bytes(out, page(material).encode()), list(material.notes)


def gather(settings: ReportSettings, command: str) -> Material:
    """All that the settings name and that can be read.

    Raises:
        InputError: when none of it can.
    """
    notes: list[str] = []
    settings_of: dict[str, Any] = {}

    def read(name: str | None, reader: Callable[[str], T], otherwise: T) -> T:
        try:
            return otherwise if name is None else reader(name)
        except InputError as error:
            notes.append(str(error))
            return otherwise

    def records(path: str) -> list[Record]:
        settings_of[path], found = read_records(path)
        return found

    studies = []
    for url in _storages(settings):
        try:
            studies.append(open_study(url, settings.study_name))
        except InputError as error:
            notes.append(str(error))
    for number, study in enumerate(studies, start=1):
        settings_of[f"study {number}: {study.study_name}"] = study.user_attrs
    folders = settings.validation.split(",") if settings.validation else []
    of_each = [[str(Path(folder.strip()) / f"{n}.json") for n in _SIDES] for folder in folders]
    sides = [tuple(read(path, records, []) for path in files) for files in of_each]
    default, tuned = sides[0] if sides else ([], [])
    screened = read(
        settings.screening if default else None,
        lambda path: _screened_for(default, path, settings_of[of_each[0][0]]),
        None,
    )
    material = Material(
        studies=studies,
        default=default if default and tuned else [],
        tuned=tuned if default and tuned else [],
        screened=screened,
        paths=read(settings.paths, read_paths, []),
        settings=settings_of,
        command=command,
        notes=notes,
        validations=[(one, other) for one, other in sides] if len(sides) > 1 else [],
    )
    if not (studies or material.default or material.paths):
        raise InputError(f"there is nothing to show: {'; '.join(notes)}")
    return material


def _storages(settings: ReportSettings) -> list[str | None]:
    if settings.storage is None:
        return [None]
    return [url.strip() for url in urls_in(settings.storage) if url.strip()]


_SIDES = ("default", "tuned")


def _search_settings(before: dict[str, Any]) -> SearchSettings:
    known = {n: before[n] for n in SearchSettings.model_fields if n in before}
    return SearchSettings.read(known)


def _screened_for(validated: Sequence[Record], path: str, before: dict[str, Any]) -> Screened:
    """What a screening says of the reactions that were validated with the settings `before`.

    Raises:
        InputError: when the file can't be used, or says nothing of any of them.
    """
    screened = screened_in(path, _search_settings(before))
    if not {(r.name, r.formula) for r in validated} & (screened.easy | screened.difficult):
        raise InputError(f"{path} is not used: it has none of the reactions validated")
    return screened


def open_study(url: str | None, name: str | None) -> optuna.Study:
    """The study of that name in a storage, or the only one there.

    Raises:
        InputError: when the storage or the study is not there.
    """
    try:
        return load(url, name)
    except InputError as error:
        raise InputError(f"no study is shown: {error}") from None


def without_passwords(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command as they may be shown: no URL among them has a password.

    What is given as a storage is taken for a URL, however malformed.
    """

    def shown(text: str, is_url: bool) -> str:
        urls = urls_in(text)
        parts = (without_password(u) if is_url or "://" in u else without_secrets(u) for u in urls)
        return ",".join(parts)

    found, before = [], ""
    for argument in arguments:
        flag, equals, value = (
            argument.partition("=") if argument[:2] == "--" else ("", "", argument)
        )
        found.append(flag + equals + shown(value, (flag or before) == "--storage"))
        before = "" if equals else flag
    return found


def urls_in(text: str) -> list[str]:
    """The parts of the text before and after each comma that a URL, or nothing, follows."""
    return re.split(r",(?=\s*[\w+]+://)", text)
