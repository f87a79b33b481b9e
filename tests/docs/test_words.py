"""Tables of words in the documents have all the words that the program uses."""

import re

import documents
from documents import PAGES, ROOT

from gadlib.calculators import KINDS
from gadlib.cli.commands import COMMANDS
from gadlib.molecules.endpoints import Connection
from gadlib.settings.reading import Settings
from gadlib.solver.state import Status
from gadlib.tuning.space import SAMPLERS


def first_column(page: str, head: str) -> set[str]:
    """The words in the first column of the table with that head."""
    text = (ROOT / page).read_text()
    (rows,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    return set(re.findall(r"^\| `([^`]+)` \|", rows, re.MULTILINE))


def test_every_status_is_explained():
    assert first_column("docs/searching.md", "status") == set(Status) - {Status.RUNNING}


def test_every_connection_is_explained():
    assert first_column("docs/right_saddle.md", "verdict") == set(Connection)


def test_every_calculator_is_explained():
    assert first_column("docs/calculators.md", "`--calculator`") == set(KINDS)


def test_every_sampler_is_named():
    tuning = (ROOT / "docs/tuning.md").read_text()
    assert all(f"`{name}`" in tuning for name in SAMPLERS)


def test_every_command_is_shown():
    text = " ".join(page.read_text() for page in PAGES)
    missing = [n for n in COMMANDS if not re.search(rf"(?:gadlib|make) {n}\b", text)]
    assert not missing


def test_every_target_of_make_that_is_named_is_there():
    prose = " ".join(documents.prose(page) for page in PAGES)
    code = "\n".join(block.code for page in PAGES for block in documents.blocks(page))
    named = {*re.findall(r"`make ([a-z]+)", prose), *re.findall(r"^make ([a-z]+)", code, re.M)}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named and named <= targets


def test_every_settings_class_that_is_named_is_offered():
    import gadlib

    text = " ".join(page.read_text() for page in PAGES)
    for name in set(re.findall(r"gadlib\.(\w+Settings)\b", text)):
        assert issubclass(getattr(gadlib, name), Settings)
