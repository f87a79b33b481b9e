"""Contents of a file of geometries: of a regular file, packed or not, in whatever coding."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import stat
from pathlib import Path
from typing import cast

from gadlib.settings.reading import InputError

MAX_BYTES = 2**28
"""Of a file of geometries, unpacked."""
PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # UTF-32 before UTF-16, whose mark it begins with
_MAX_NAME = 120


def require_file(path: Path, expected: str) -> None:
    """Raise InputError unless there is a regular file, which can be read to its end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        raise InputError(f"{path}: no such file; expected {expected}") from None
    if not stat.S_ISREG(mode):
        wrong = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device and no file"
        raise InputError(f"{path}: {wrong}; expected {expected}")


def foreign(content: bytes) -> str:
    """What a file is that is neither geometries nor reactions, in words; empty where unknown."""
    head = content[:200].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        return "a web page, as a failed download leaves it"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, whose content `git lfs pull` fetches"
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        return "an HDF5 file, which --h5-path takes"
    return ""


def read_content(path: Path) -> bytes:
    """The content of a file of geometries, unpacked.

    Raises:
        InputError: when there is none, or it is no regular file, too large, or can't be read.
    """
    require_file(path, "starting geometries in xyz or extxyz")
    try:
        if path.suffix in PACKED:
            with PACKED[path.suffix](path, "rb") as file:
                content = cast(bytes, file.read(MAX_BYTES + 1))
        else:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise InputError(f"{path}: can't be read ({error}); expected geometries") from None
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{path}: more than {MAX_BYTES} bytes; expected starting geometries in several files"
        )
    return content


def text_of(content: bytes, path: Path) -> str:
    """The content as text: UTF-8, UTF-16 and UTF-32 by their marks, else Latin-1."""
    coding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(coding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if (at := text.find("\0")) >= 0:
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        raise InputError(
            f"{path}: line {line}, column {column}: a NUL byte; expected geometries as text"
        )
    return text


def printable(name: str) -> str:
    """The name in one line, without what a terminal can't show, of bearable length."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return shown if len(shown) <= _MAX_NAME else shown[: _MAX_NAME - 3] + "..."
