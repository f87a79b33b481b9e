"""`hpo_results.json`: what a storage holds of a study, in a file that belongs to that study alone.

It can be written again from the storage at any time, so that a file that is damaged or can't be
written costs nothing; a file of another study, or of more trials than there are, is never replaced.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from tqdm.auto import tqdm

from gadlib.cluster.retries import StorageLostError
from gadlib.files.locks import in_turn
from gadlib.files.writing import first_free, write_json
from gadlib.settings.reading import InputError
from gadlib.tuning.content import collect_results

_DECIDED = ("complete", "pruned")


class AnothersError(InputError):
    """The file holds what this study does not, so that it is not replaced."""


def write_results(
    study: optuna.Study, path: str | Path, prefer: str | None = None, **more: Any
) -> Path:
    """The path, with what the storage holds of the study written there.

    A file that is damaged is set aside.

    Args:
        study: as its storage has it.
        path: of the file.
        prefer: which of several best trials gives the tuned values; None: as the study was asked.
        more: what else the file is to say, by name.

    Raises:
        InputError: when the file holds the results of another study, or can't be written.
    """
    path = Path(path)
    _write(study, path, prefer, more)
    return path


def _write(
    study: optuna.Study, path: Path, prefer: str | None = None, more: Mapping[str, Any] = {}
) -> dict[str, Any]:
    # One process at a time, else an older state may be written over a newer one.
    with in_turn(path.with_name(f".{path.name}.lock")):
        earlier = _read(path)
        content = {**collect_results(study, prefer), **more}
        if earlier is not None:
            _require_within(path, earlier, content)
        elif path.is_file() and path.stat().st_size:
            _set_aside(path)
        write_json(path, content)
    return content


class Results:
    """The results file of a study that a worker writes again and again."""

    def __init__(self, study: optuna.Study, path: Path) -> None:
        self.study, self.path = study, path
        self._last: dict[str, Any] = {}
        self._was_told = False

    def write(self) -> None:
        """What the storage holds is in the file, or it was said why not; the study goes on.

        Raises:
            AnothersError: when the file holds the results of another study.
        """
        try:
            self._last = _write(self.study, self.path)
        except AnothersError:
            raise
        except InputError as error:
            if not self._was_told:
                self._was_told = True
                tqdm.write(
                    f"{error}; going on: the study is in its storage, from which"
                    " `gadlib results` writes the file again",
                    file=sys.stderr,
                )

    def rescue(self) -> str:
        """Where what is known of a study is, whose storage is gone; empty where nowhere."""
        with contextlib.suppress(InputError, OSError):
            try:
                content = _write(self.study, self.path)  # a removed file may still be open
            except StorageLostError:
                content = self._last
                if content:
                    write_json(self.path, content)
            n = len(_decided(content.get("trials", [])))
            return f"{n} decided trials are in {self.path}" if content else ""
        return ""


def require_own(path: Path, study: optuna.Study | None, study_name: str, shown: str) -> None:
    """Raise AnothersError unless the file may be written by the study; None is one not made yet."""
    earlier = _read(path)
    if study is not None:
        if earlier is not None:
            _require_within(path, earlier, collect_results(study))
        return
    if earlier is not None:
        _require_name(path, earlier, study_name)
    if earlier is None and path.is_file() and path.stat().st_size:
        raise AnothersError(
            f"{path} is damaged, and {shown} has no study {study_name!r} from which to write it"
            " again: choose another --out-dir, nothing is overwritten"
        )
    if earlier is not None and (n := len(_decided(earlier["trials"]))):
        raise AnothersError(
            f"{path} holds {n} decided trials of study {study_name!r} in"
            f" {earlier.get('storage') or 'another storage'}, and {shown} has no such study: name"
            " its storage, or choose another --out-dir, nothing is overwritten"
        )


def _read(path: Path) -> dict[str, Any] | None:
    """What the file holds; None where there is none, or it can't be read, or is damaged.

    Raises:
        AnothersError: when it is whole and not such a file.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("study_name"), str):
        name = content.get("study_name") if isinstance(content, dict) else None
        raise AnothersError(
            f"{path} holds the results of study {name!r}, no results that gadlib wrote:"
            " choose another --out-dir, nothing is overwritten"
        )
    trials = content.setdefault("trials", [])
    is_sound = isinstance(trials, list) and all(isinstance(t, dict) for t in trials)
    return content if is_sound else None


def _set_aside(path: Path) -> None:
    free = first_free(path, "{stem}_damaged{number}{suffix}")
    try:
        path.rename(free)
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from None
    tqdm.write(
        f"{path} was damaged: it is {free.name} now, and written again from the storage",
        file=sys.stderr,
    )


def _require_name(path: Path, earlier: dict[str, Any], study_name: str) -> None:
    if earlier["study_name"] != study_name:
        raise AnothersError(
            f"{path} holds the results of study {earlier['study_name']!r}, not {study_name!r}:"
            " choose another --out-dir, nothing is overwritten"
        )


def _require_within(path: Path, earlier: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise AnothersError unless both are of one study, and the storage has all the file has."""
    _require_name(path, earlier, now["study_name"])
    theirs, mine = earlier.get("study_id"), now.get("study_id")
    where = earlier.get("storage") or "another storage"
    if theirs and mine and theirs != mine:
        raise AnothersError(
            f"{path} holds the results of another study of the name {now['study_name']!r}, that of"
            f" {where}, not of {now.get('storage')}: choose another --out-dir or --study-name,"
            " nothing is overwritten"
        )
    missing = _decided(earlier["trials"]) - _decided(now["trials"])
    if missing:
        number = min((n for n, *_ in missing if isinstance(n, int)), default=None)
        raise AnothersError(
            f"{path} holds {len(missing)} decided trials (such as trial {number}) that study"
            f" {now['study_name']!r} in {now.get('storage')} lacks; expected all of them there, or"
            " another --out-dir: nothing is overwritten"
        )


def _decided(trials: Iterable[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {
        (t.get("number"), t.get("state"), str(t.get("started")))
        for t in trials
        if t.get("state") in _DECIDED
    }
