"""The documents of the project, taken apart: blocks of code, links, headings, sentences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE = re.compile(r"^( *)```(\w*) *([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+(?:\([^()]*\))?[^()\s]*)\)")
_IMAGE = re.compile(r'<img [^>]*src="([^"]+)"')


class Block(NamedTuple):
    """A block of code.

    Attributes:
        page: where it stands.
        line: of its fence, from 1.
        language: bash, python, text ...
        needs: what it takes that not every machine has, as its fence says it; empty for nothing.
        code: its lines.
    """

    page: Path
    line: int
    language: str
    needs: str
    code: str


def blocks(page: Path) -> list[Block]:
    """The blocks of code of a page, in their order."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        needs = match[3].removeprefix("needs=").strip()
        assert match[3] in ("", f"needs={needs}"), f"{page.name}:{line}: {match[3]}"
        found.append(Block(page, line, match[2], needs, match[4]))
    return found


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Where the page's links and images point to."""
    text = prose(page)
    return [*_LINK.findall(text), *_IMAGE.findall(text)]


def anchors(page: Path) -> set[str]:
    """The names under which the page's headings can be linked to, as a forge makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def sentences(page: Path) -> list[str]:
    """The sentences and the cells of tables of a page, in lower case, without marks."""
    text = re.sub(r"<[^>]*>", " ", prose(page))
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"[.!?:;](?=\s)|\||\n\s*\n|\n\s*[*#-]+\s", text)
    plain = (re.sub(r"[^\w\s]", "", part.lower()) for part in parts)
    return [" ".join(part.split()) for part in plain if part.strip()]


def named(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", text)
