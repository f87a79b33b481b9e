"""The web site has every page, and is built without a warning where Sphinx is there."""

import runpy
import subprocess
import sys

import pytest
from documents import PAGES, ROOT

from gadlib.cli import notebooks

CONF = runpy.run_path(str(ROOT / "docs/conf.py"))
MAKE = runpy.run_path(str(ROOT / "docs/make_site.py"))


def test_site_has_every_page():
    listed = {f"docs/{name}.md" for name in CONF["PAGES"]}
    assert listed == {str(p.relative_to(ROOT)) for p in PAGES if p.is_relative_to(ROOT / "docs")}
    for pattern in CONF["include_patterns"]:
        assert list(ROOT.glob(pattern)), pattern


def test_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    command += ["-c", str(ROOT / "docs"), str(ROOT), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    readme = (tmp_path / "site/README.html").read_text()
    assert "docs/searching.html" in readme and "_images/search.png" in readme


def test_notebooks_of_the_site_are_all_but_the_live_one_and_know_their_parameters(tmp_path):
    planned = MAKE["planned"](tmp_path)
    assert planned.keys() == {p.stem for p in notebooks.NOTEBOOKS.glob("*.ipynb")} - {"06_explore"}
    for name, values in planned.items():
        notebooks.require_parameters(notebooks.notebook(name), values)
