"""CITATION.cff has what the Citation File Format 1.2 asks for, and this version."""

from pathlib import Path

import yaml

import gadlib

CITATION = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text())


def test_citation_has_the_required_keys():
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert CITATION["authors"] == [{"name": "gadlib contributors"}]


def test_citation_is_of_this_version_and_licence():
    assert CITATION["version"] == gadlib.__version__
    assert CITATION["license"] == "MIT"


def test_references_of_the_citation_are_whole():
    for reference in CITATION["references"]:
        assert {"type", "title", "authors", "year", "doi"} <= set(reference)
        assert all({"family-names", "given-names"} <= set(a) for a in reference["authors"])
