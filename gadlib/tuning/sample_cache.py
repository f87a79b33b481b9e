"""Records of samples that were computed before, so that nothing is computed twice.

A folder of JSON lines: every process appends to a file of its own and reads those of the others, so
that no file has two writers, on any file system; a line that a lost machine cut off is passed
over. The key holds all that a record depends on, this package's own code included.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import random
import socket
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from gadlib.files.reading import whole_lines
from gadlib.files.writing import append_line
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record, versions
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.settings.reading import InputError

_ROOTS = ("gadlib.screening.jobs", "gadlib.screening.setup")
"""What computes a record from a job, and what makes its calculator and hyperparameters.

The code that a record depends on is what these import, and what that imports, read from the import
statements: a list by hand forgets the next module, and the whole package would forget every sample
whenever a figure is drawn differently.
"""


@cache
def sources() -> tuple[Path, ...]:
    """The files of this package that a record depends on: all that a search imports."""
    root = Path(__file__).parents[2]
    found: dict[Path, None] = {}
    waiting = list(_ROOTS)
    while waiting:
        path = root.joinpath(*waiting.pop().split("."))
        file = (
            path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
        )
        if file.is_file() and file not in found:
            found[file] = None
            waiting += _imported(ast.parse(file.read_bytes()))
    return tuple(sorted(found))


def _imported(module: ast.Module) -> list[str]:
    """Names of this package that a module imports anywhere; of some it is not known what they are.

    They are modules with the packages that these are in, or functions of them.
    """
    names = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    own = [name.split(".") for name in names if name.split(".")[0] == "gadlib"]
    return [".".join(parts[:n]) for parts in own for n in range(2, len(parts) + 1)]


@cache
def _code() -> str:
    """A fingerprint of what computes a record: the code that a search imports, and the versions."""
    code = hashlib.sha256()
    for path in sources():
        code.update(path.read_bytes())
    code.update(json.dumps(versions(), sort_keys=True).encode())
    return code.hexdigest()[:16]


def digest(identity: Mapping[str, Any], start: Start, hyperparameters: Hyperparameters) -> str:
    """The key of a record: all that it depends on, shortened.

    Args:
        identity: what the settings say that results depend on (`setup.identity_of`).
        start: where the search begins.
        hyperparameters: that it is done with, whatever the settings have.
    """
    content = [
        _code(),
        dict(identity),
        [start.name, start.formula, start.split, start.start, start.noise_seed],
        start.atomic_numbers.tolist(),
        start.positions.tolist(),
        *([[place.tolist() for place in start.further]] if start.further else []),
        [start.max_fragments, start.charge, start.multiplicity],
        [end.tolist() for end in start.ends or ()],
        hyperparameters.solver,
        hyperparameters.model_dump(),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


class Cache:
    """Records by their keys, shared by all processes that name the same folder.

    A folder that can't be written (a full disk) costs the memory of what comes, and nothing else.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._records: dict[str, dict[str, Any]] = {}
        self._read: dict[Path, int] = {}
        own = f"{socket.gethostname()}-{os.getpid()}-{random.SystemRandom().randrange(16**6):06x}"
        self._own = self.folder / f"{own}.jsonl"

    def get(self, name: str) -> Record | None:
        """The record of that key, if any process has written it."""
        if name not in self._records:
            self._catch_up()
        values = self._records.get(name)
        try:
            return None if values is None else Record.read(values)
        except InputError:
            return None

    def put(self, name: str, record: Record) -> None:
        """The record, on disk when this returns, or only in memory where there is no room."""
        values = asdict(record)
        self._records[name] = values
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            append_line(self._own, {"key": name, "record": values})

    def _catch_up(self) -> None:
        for path in sorted(self.folder.glob("*.jsonl")):
            if path == self._own or not path.is_file():
                continue
            with contextlib.suppress(OSError):
                lines, self._read[path] = whole_lines(path, self._read.get(path, 0))
                for line in lines:
                    self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            content = json.loads(line)
            self._records[content["key"]] = content["record"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return
