"""What a potential has said of geometries, kept in a file, so that it is never asked twice.

The file is a database of SQLite, which several processes may read and write at a time. An answer is
there from the moment it is known, whatever ends the program after that.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gadlib.settings.reading import InputError

_OURS = 0x6761646C  # "gadl", where SQLite keeps whose file it is
_WAIT_S = 60.0  # for another process that writes
_TABLE = (
    "CREATE TABLE IF NOT EXISTS calls"
    " (name TEXT PRIMARY KEY, energy REAL NOT NULL, forces BLOB NOT NULL, hessian BLOB)"
)

_CARRIED = (
    "CREATE TABLE IF NOT EXISTS carried"
    " (id INTEGER PRIMARY KEY, molecule TEXT NOT NULL, positions BLOB NOT NULL, carried BLOB NOT"
    " NULL)"
)
_LARGEST = 2**26  # bytes of what is carried from one point: a density of 2,000 functions, two spins
_MOST = 64  # points of a molecule


@dataclass(frozen=True)
class Call:
    """What a potential says of one molecule.

    Attributes:
        energy: in eV.
        forces: in eV/A.
        hessian: in eV/A^2, None where it was not asked for.
    """

    energy: float
    forces: Float[np.ndarray, "n 3"]
    hessian: Float[np.ndarray, "d d"] | None

    @property
    def is_finite(self) -> bool:
        """Whether all of it are numbers."""
        parts = (self.energy, self.forces, *(() if self.hessian is None else (self.hessian,)))
        return all(bool(np.isfinite(part).all()) for part in parts)


@dataclass(frozen=True)
class Calls:
    """The calls that a file keeps.

    Attributes:
        path: of the file.
    """

    path: Path

    @classmethod
    def at(cls, path: str | Path) -> Calls:
        """Those of a file, which is made where there is none.

        Raises:
            InputError: when it is another file, or can't be written.
        """
        found = cls(Path(path).absolute())
        try:
            with found._connected() as connection:
                owner = connection.execute("PRAGMA application_id").fetchone()[0]
                tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                if tables and owner != _OURS:
                    raise InputError(f"keep_calls {path}: another program's file; {_EXPECTED}")
                connection.execute(f"PRAGMA application_id = {_OURS}")
                connection.execute(_TABLE)
                connection.execute(_CARRIED)
        except sqlite3.Error as error:
            raise InputError(f"keep_calls {path}: {error}; {_EXPECTED}") from None
        return found

    def known(self, names: Sequence[str]) -> list[Call | None]:
        """What is kept under each name, None where nothing is."""
        with self._connected() as connection:
            rows = [
                connection.execute(
                    "SELECT energy, forces, hessian FROM calls WHERE name = ?", (name,)
                ).fetchone()
                for name in names
            ]
        return [None if row is None else _read(*row) for row in rows]

    def keep(self, names: Sequence[str], calls: Sequence[Call]) -> None:
        """Keep calls under their names; one with a Hessian takes the place of one without."""
        rows = [
            (name, call.energy, _bytes(call.forces), _bytes(call.hessian))
            for name, call in zip(names, calls, strict=True)
        ]
        with self._connected() as connection:
            connection.executemany("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?)", rows)

    def carried(self, molecule: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """The points (n, 3) of a molecule and what was carried from each, the last one at the end.

        What that is whoever kept it knows: numbers in a row.
        """
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT positions, carried FROM carried WHERE molecule = ? AND length(carried) <= ?"
                " ORDER BY id",
                (molecule, _LARGEST),
            ).fetchall()
        return [(_numbers(at).reshape(-1, 3), _numbers(values)) for at, values in rows]

    def carry(
        self, molecule: str, positions: np.ndarray, values: np.ndarray, *, near: float
    ) -> None:
        """Keep what is carried from a point of a molecule, in place of what was near that (A).

        More than 64 MiB is not kept, nor more than the last 64 points.
        """
        if values.nbytes > _LARGEST:
            return
        with self._connected() as connection:
            known = connection.execute(
                "SELECT id, positions FROM carried WHERE molecule = ? ORDER BY id DESC", (molecule,)
            ).fetchall()
            is_near = [
                np.linalg.norm(_numbers(at).reshape(-1, 3) - positions, axis=1).max() <= near
                for _, at in known
            ]
            gone = [(row[0],) for row, is_one in zip(known, is_near, strict=True) if is_one]
            left = [(row[0],) for row, is_one in zip(known, is_near, strict=True) if not is_one]
            gone += left[_MOST - 1 :]
            connection.executemany("DELETE FROM carried WHERE id = ?", gone)
            connection.execute(
                "INSERT INTO carried (molecule, positions, carried) VALUES (?, ?, ?)",
                (molecule, _bytes(positions), _bytes(values)),
            )

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection of one use, which a process that was forked can't have inherited."""
        with (
            contextlib.closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as connection,
            connection,
        ):
            yield connection


_EXPECTED = "expected a file of calls that gadlib made, or a new name in a folder that is there"


def _bytes(values: np.ndarray | None) -> bytes | None:
    return None if values is None else values.astype("<f8").tobytes()


def _numbers(values: bytes) -> np.ndarray:
    return np.frombuffer(values, dtype="<f8")


def _read(energy: float, forces: bytes, hessian: bytes | None) -> Call:
    second = None
    if hessian is not None:
        values = np.frombuffer(hessian, dtype="<f8")
        second = values.reshape(2 * (int(len(values) ** 0.5),))
    return Call(energy, np.frombuffer(forces, dtype="<f8").reshape(-1, 3), second)
