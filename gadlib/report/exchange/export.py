"""Results written for other programs; nothing that is there is overwritten."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gadlib.files.writing import write_bytes
from gadlib.molecules.formats import output
from gadlib.report.exchange.results import Result, read
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.reading import InputError, listed, shown
from gadlib.settings.results import ExportSettings

_MAX_NAME = 80


class Exported(NamedTuple):
    """What was written, and what was not.

    Attributes:
        files: the files, in the order of the results.
        n_results: results in them.
        left_out: results of which nothing could be written, each with why.
    """

    files: list[Path]
    n_results: int
    left_out: list[str]

    @property
    def sentence(self) -> str:
        """What was written, in words."""
        n = len(self.left_out)
        rest = f"; {n} left out: {listed(self.left_out)}" if n else ""
        files = f"{self.files[0]}" if len(self.files) == 1 else f"{len(self.files)} files"
        results = f"{self.n_results} result{'' if self.n_results == 1 else 's'}"
        return f"{results} in {files}{rest}"


def export(
    result: str | Path,
    settings: ExportSettings | None = None,
    *,
    out: str | Path | None = None,
    **given: Any,
) -> Exported:
    """What was written of a result file, as in `export("a.json", to="xyz")`.

    Args:
        result: a file that `search`, `screen`, `validate`, `irc` or `frequencies` wrote.
        settings: as what, where, and which of the results.
        out: file to write, by default that of the settings.
        given: settings by name, over those in `settings`.

    Raises:
        InputError: when the file can't be read, holds nothing of what is asked for, or a file is
            there already.
    """
    given |= {} if out is None else {"out": str(out)}
    settings = ExportSettings.read(({} if settings is None else dict(settings)) | given)
    kind = _kind(settings)
    found = _chosen(read(result), settings, result)
    texts, left_out = KINDS[kind](found)
    if not texts:
        raise InputError(f"{result}: nothing to write as {kind}: {listed(left_out)}")
    files = _names(result, settings.out, kind, list(texts))
    for path in files:
        if path.exists():
            raise InputError(f"{path} exists; choose another name (--out), nothing is overwritten")
    for path, text in zip(files, texts.values(), strict=True):
        write_bytes(path, text.encode())
    return Exported(files, len(found) - len(left_out), left_out)


def _kind(settings: ExportSettings) -> str:
    """The format that is asked for."""
    ending = Path(settings.out or "").suffix.lower().removeprefix(".")
    kind = settings.to or ending
    if kind not in KINDS:
        what = f"--to {shown(settings.to)}" if settings.to else "no --to"
        raise InputError(f"{what}: expected one of {', '.join(KINDS)}")
    if settings.out and ending != kind:
        raise InputError(f"{settings.out}: {kind} goes into it; expected a name ending in .{kind}")
    return kind


def _chosen(found: Sequence[Result], settings: ExportSettings, where: str | Path) -> list[Result]:
    """The results that are asked for."""
    criterion, name = settings.criterion, settings.name
    if criterion is not None and criterion not in CRITERIA:
        raise InputError(f"criterion {shown(criterion)}: expected one of {', '.join(CRITERIA)}")
    if criterion is not None and any(one.criteria is None for one in found):
        raise InputError(
            f"criterion {shown(criterion)}: {where} is of no searches; expected a file of such"
        )
    if name is not None and name not in {one.name for one in found}:
        names = listed([one.name for one in found])
        raise InputError(f"name {shown(name)}: none in {where}; expected one of {names}")
    chosen = [
        one
        for one in found
        if (name is None or one.name == name)
        and (criterion is None or (one.criteria or {}).get(criterion))
    ]
    if not chosen:
        what = "no result in it" if criterion is None else f"none of {len(found)} meets {criterion}"
        raise InputError(f"{where}: {what}; expected at least one")
    return chosen


def _names(result: str | Path, out: str | None, kind: str, names: Sequence[str]) -> list[Path]:
    """A file for each text; of several each has the name of its molecule in its own."""
    whole = Path(out) if out else Path(result).with_suffix(f".{kind}")
    if len(names) == 1:
        return [whole]
    found: list[Path] = []
    for name in names:
        plain = re.sub(r"[^\w.+-]+", "_", name).strip("_.")[:_MAX_NAME] or "molecule"
        path, k = whole.with_name(f"{whole.stem}-{plain}.{kind}"), 2
        while path in found:
            path, k = whole.with_name(f"{whole.stem}-{plain}-{k}.{kind}"), k + 1
        found.append(path)
    return found


Texts = tuple[dict[str, str], list[str]]
"""The texts of the files, by names, and the results that nothing is written of, with why."""


def _with_frames(found: Sequence[Result]) -> tuple[list[Result], list[str]]:
    left_out = [f"{one.name} has no point that was computed" for one in found if not one.frames]
    return [one for one in found if one.frames], left_out


def _extxyz(found: Sequence[Result]) -> Texts:
    some, left_out = _with_frames(found)
    frames = [atoms for one in some for atoms in one.frames]
    return ({"": output.extxyz(frames)} if frames else {}), left_out


def _xyz(found: Sequence[Result]) -> Texts:
    some, left_out = _with_frames(found)
    frames = [atoms for one in some for atoms in one.frames]
    return ({"": output.xyz(frames)} if frames else {}), left_out


def _molden(found: Sequence[Result]) -> Texts:
    """A file for each: normal modes where they are known, of a path its points."""
    some, left_out = _with_frames(found)
    texts: dict[str, str] = {}
    for one in some:
        name, k = one.name, 2
        while name in texts:
            name, k = f"{one.name}-{k}", k + 1
        if one.modes:
            texts[name] = output.molden(one.frames[0], one.frequencies, one.modes)
        elif len(one.frames) > 1:
            texts[name] = output.molden_series(one.frames)
        else:
            left_out.append(f"{one.name} has no normal mode in it")
    return texts, left_out


def _csv(found: Sequence[Result]) -> Texts:
    """A row for each and a column for each field; what is no plain value stands there as JSON."""
    rows = [_row(one.fields) for one in found]
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return {"": text.getvalue()}, []


def _row(fields: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= _row(value)
        else:
            found[name] = json.dumps(value) if isinstance(value, list | tuple) else value
    return found


KINDS: dict[str, Callable[[Sequence[Result]], Texts]] = {
    "xyz": _xyz,
    "extxyz": _extxyz,
    "molden": _molden,
    "csv": _csv,
}
"""What can be written, by the ending of its files."""
