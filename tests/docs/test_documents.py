"""The documents hold together: links lead somewhere, nothing stands twice, the README is short."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path

import documents
import pytest
from documents import PAGES, ROOT

N_LINES_MAX = 200
N_WORDS_MAX = 8


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_to_files_and_headings_that_are_there(page):
    for link in documents.links(page):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page_name(page)}: {link}"
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in documents.anchors(target), f"{page_name(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_paths_in_the_text_are_there(page):
    for name in documents.named(documents.prose(page)):
        if re.fullmatch(r"(?:gadlib|tests|docs|notebooks|papermill_jobs)(?:/[\w.{}*]+)*/?", name):
            assert list(ROOT.glob(name.rstrip("/"))), f"{page_name(page)}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_python_names_in_the_text_are_there(page):
    for name in documents.named(documents.prose(page)):
        if re.fullmatch(r"gadlib(?:\.\w+)+(?:\(\))?", name):
            assert _found(name.removesuffix("()").split(".")), f"{page_name(page)}: {name}"


def _found(parts: list[str]) -> bool:
    found = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], start=2):
        if not hasattr(found, part):
            try:
                importlib.import_module(".".join(parts[:i]))
            except ImportError:
                return False
        found = getattr(found, part)
    return True


def test_no_sentence_stands_twice():
    counted = Counter(s for page in PAGES for s in documents.sentences(page))
    twice = [s for s, n in counted.items() if n > 1 and len(s.split()) > N_WORDS_MAX]
    assert not twice


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= N_LINES_MAX


def test_every_page_is_reached_from_the_readme():
    reached = [ROOT / "README.md"]
    for page in reached:
        for link in documents.links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in reached:
                reached.append(target)
    assert set(PAGES) <= set(reached)


def test_links_of_a_page_are_found():
    """The other tests would pass on what they don't see."""
    assert any("docs/solvers.md" in link for link in documents.links(ROOT / "README.md"))
    assert "how-to-cite" in documents.anchors(ROOT / "README.md")
    assert any(block.language == "python" for block in documents.blocks(ROOT / "README.md"))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_page_has_one_title_and_no_blank_word(page):
    text = documents.prose(page)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert not re.search(r"\b(?:TODO|FIXME|XXX|TBD)\b", text)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_words_that_had_to_be_guessed_are_gone(page):
    if page.name == "glossary.md":
        return
    found = re.findall(r"\b(?:knobs?|dear|told|put together|mended)\b", documents.prose(page))
    assert not found, page_name(page)


@pytest.mark.parametrize(
    "addition",
    [
        "a step rule",
        "a calculator",
        "a start recipe",
        "a criterion",
        "an objective of tuning",
        "a figure",
        "a setting of tuning",
        "a format of geometries to read",
        "a kind of storage",
        "a column of the failure table",
    ],
)
def test_architecture_says_where_an_addition_goes(addition):
    text = (ROOT / "docs/architecture.md").read_text()
    (row,) = re.findall(rf"^\| {addition} \| (.*) \|$", text, re.MULTILINE)
    assert [n for n in documents.named(row) if (ROOT / n).is_file()], row
