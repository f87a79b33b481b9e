"""Sphinx: the pages of the project as a web site; `make site` calls it from the root."""

from __future__ import annotations

import re
from pathlib import Path

project = "gadlib"
author = "gadlib contributors"
extensions = ["myst_parser"]
myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
source_suffix = {".md": "markdown"}
root_doc = "README"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md"]
include_patterns += ["docs/measurements/*.md"]
exclude_patterns = [".venv", "runs", "tests"]
html_theme = "alabaster"
html_show_copyright = False
html_theme_options = {"page_width": "1080px", "fixed_sidebar": True}

PAGES = ["searching", "command_line", "solvers", "delta", "calculators", "tuning", "right_saddle"]
PAGES += ["measurements", "glossary", "architecture"]
MEASURED = ["solvers", "saddles", "delta", "proofs", "tuning", "calculators"]
PAGES += [f"measurements/{page}" for page in MEASURED]
NOTEBOOKS = Path(__file__).parents[1] / "runs/site-notebooks/notebooks"
"""Executed, as HTML."""


def _with_contents(app, name: str, source: list[str]) -> None:
    """The README with links to executed notebooks, and a table of contents for the side bar."""
    if name != root_doc:
        return
    source[0] = re.sub(r"^\| `(\d\d_\w+)` \|", _linked, source[0], flags=re.MULTILINE)
    pages = [*(f"docs/{page}" for page in PAGES), "CONTRIBUTING", "CHANGELOG"]
    source[0] += "\n".join(["", "```{toctree}", ":hidden:", *pages, "```", ""])


def _linked(row: re.Match[str]) -> str:
    name = f"{row[1]}.html"
    link = f'<a href="notebooks/{name}"><code>{row[1]}</code></a>'
    return f"| {link} |" if (NOTEBOOKS / name).exists() else row[0]


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _with_contents)
