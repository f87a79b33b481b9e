"""The parts of the documents that are made from the code. Run as a script it writes them anew.

    python tests/docs/generated.py

A part stands between a line `<!-- name -->` and the next `<!-- end -->`.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable
from typing import Any

from documents import PAGES, ROOT

from gadlib.molecules import recipes
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import SOLVERS, markdown_table
from gadlib.settings.objectives import OBJECTIVES
from gadlib.solver.trust.phases import Ending, Phase

PART = re.compile(r"<!-- ([\w: ]+) -->\n(.*?)<!-- end -->", re.DOTALL)


def wings() -> str:
    """What each wing is for and what it never does, from its docstring."""
    rows = ["| wing | what it is for | never |", "|---|---|---|"]
    for package in sorted((ROOT / "gadlib").glob("*/__init__.py")):
        doc = ast.get_docstring(ast.parse(package.read_text())) or ""
        purpose, *rest = (" ".join(part.split()) for part in doc.split("\n\n"))
        never = next((part for part in rest if part.startswith("Never: ")), "")
        never = never.removeprefix("Never: ")
        rows.append(f"| `gadlib/{package.parent.name}` | {purpose} | {never} |")
    return "\n".join(rows)


def contracts() -> list[dict[str, Any]]:
    """What import-linter checks, as it is declared."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return pyproject["tool"]["importlinter"]["contracts"]


def floors() -> str:
    """The floors of the package, from the top."""
    layers = next(c["layers"] for c in contracts() if c["type"] == "layers")
    plain = [layer.replace("(", "").replace(")", "").replace(" | ", ", ") for layer in layers]
    return "\n".join(["```text", *plain, "```"])


def in_words(kind: type[Phase] | type[Ending], *, head: str) -> str:
    """What each value of an enumeration means, by the word that stands in records."""
    rows = [f"| `{one.word}` | {one.sentence} |" for one in kind if one is not Ending.GOES_ON]
    return "\n".join([f"| {head} | meaning |", "|---|---|", *rows])


def criteria() -> str:
    """What each criterion asks for."""
    rows = [f"| `{row.name}` | {row.sentence} |" for row in CRITERIA.values()]
    return "\n".join(["| criterion | what it asks for |", "|---|---|", *rows])


def objectives() -> str:
    """What each objective of tuning is, and which way is better."""
    rows = [
        f"| `{row.name}` | {'less' if row.is_cost else 'more'} | {row.sentence} |"
        for row in OBJECTIVES.values()
    ]
    return "\n".join(["| objective | better is | what it is |", "|---|---|---|", *rows])


GENERATED: dict[str, Callable[[], str]] = {
    "wings": wings,
    "floors": floors,
    "contracts": lambda: "\n".join(f"* {contract['name']}" for contract in contracts()),
    "criteria": criteria,
    "objectives": objectives,
    "starts": recipes.markdown_table,
    "phases": lambda: in_words(Phase, head="phase"),
    "endings": lambda: in_words(Ending, head="ending"),
} | {f"hyperparameters: {solver}": lambda s=solver: markdown_table(s) for solver in SOLVERS}
"""What makes each part, by its name."""


def parts(text: str) -> dict[str, str]:
    """The generated parts of a page as they stand there, by their names."""
    return {match[1]: match[2].rstrip("\n") for match in PART.finditer(text)}


def renewed(text: str) -> str:
    """The page with its parts as the code makes them now."""
    return PART.sub(lambda m: f"<!-- {m[1]} -->\n{GENERATED[m[1]]()}\n<!-- end -->", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(renewed(page.read_text()))
