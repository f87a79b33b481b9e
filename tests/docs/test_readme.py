"""The README says what the code says."""

import ast
import re
from pathlib import Path

import gadlib

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TUNING = (ROOT / "docs/tuning.md").read_text()


def test_readme_opens_with_the_two_commands():
    commands = re.findall(r"^(make \w+)", README, re.MULTILINE)
    assert commands[:2] == ["make demo", "make test"]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    assert {"demo", "test", "lab", "lint", "env"} <= set(targets)


def test_readme_names_notebooks_that_exist():
    notebooks = ROOT / "notebooks"
    for name in re.findall(r"^\| `(\d\d_\w+)` \|", README, re.MULTILINE):
        assert (notebooks / f"{name}.ipynb").is_file(), name


def test_readme_shows_small_pictures_that_exist_one_for_each_notebook():
    shown = re.findall(r'<img src="([^"]+)"', README)
    on_pages = {
        (page.parent / path).resolve()
        for page in (ROOT / "docs").rglob("*.md")
        for path in re.findall(r'<img src="([^"]+)"', page.read_text())
    }
    pictures = set((ROOT / "notebooks/pictures").glob("*.png"))
    assert {ROOT / path for path in shown} | on_pages == pictures
    named = {Path(path).stem for path in shown}
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} <= named
    for path in shown:
        data = (ROOT / path).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) <= 60_000
    assert all(re.findall(r'<img [^>]*alt="([^"]+)"', README))
    assert len(re.findall(r"<img [^>]*alt=", README)) == len(shown)


def test_readme_cites_what_the_modules_cite():
    told = " ".join(path.read_text() for path in (ROOT / "gadlib").rglob("*.py"))
    (section,) = re.findall(r"## How to cite\n(.*)", README, re.DOTALL)
    for doi in re.findall(r"https://doi.org/(\S+?)\)(?:,| \||;|$)", section, re.MULTILINE):
        assert doi in told, doi


def test_troubleshooting_quotes_what_the_program_says():
    trees = [ast.parse(p.read_text()) for p in Path(gadlib.__file__).parent.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    said = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    (table,) = re.findall(r"\| it says \|.*\n\|---\|---\|\n((?:\|.*\n)+)", TUNING)
    quoted = re.findall(r"^\| `([^`]*)`", table, re.MULTILINE)
    assert len(quoted) == len(table.splitlines())
    for quote in quoted:
        parts = re.split(r"…|: 7|database is locked|SIGUSR1", quote)
        assert all(any(part.strip() in text for text in said) for part in parts), quote
