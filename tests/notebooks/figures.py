"""Draw calls of a notebook, the figures of an executed copy, and its cells run right here."""

from __future__ import annotations

import ast
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from gadlib.cli import notebooks
from gadlib.settings.reading import InputError


def draw_calls(name: str) -> list[str]:
    """The calls of a notebook that draw, in their order; a live figure is one, however often."""
    cells = nbformat.read(notebooks.notebook(name), as_version=4).cells
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [func.attr for func in calls if isinstance(func, ast.Attribute)]
    return [name for name in names if name.startswith("draw_") or name == "live_history"]


def figures(executed: Path) -> list[bytes]:
    """The figures of an executed notebook, as PNG."""
    found = nbformat.read(executed, as_version=4)
    outputs = [o for c in found.cells if c.cell_type == "code" for o in c.outputs]
    pngs = [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    return [base64.b64decode(png) for png in pngs]


def run_cells(name: str, values: Mapping[str, Any]) -> str:
    """The sentence on which the notebook's cells ended with these parameters; empty if none.

    They run in this process, without the seconds that a kernel takes to begin.
    """
    first, *cells = (
        cell.source
        for cell in nbformat.read(notebooks.notebook(name), as_version=4).cells
        if cell.cell_type == "code"
    )
    namespace: dict = {}
    exec(first, namespace)
    assert values.keys() <= namespace.keys()
    namespace |= values
    try:
        for cell in cells:
            exec(cell, namespace)
    except InputError as error:
        return str(error)
    return ""
